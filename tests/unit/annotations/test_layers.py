from __future__ import annotations

import json

import numpy as np
import pytest
import shapely
from shapely.geometry import shape

from pathopipe.annotations.colours import COLOURS, classification, colour_of
from pathopipe.annotations.layers import write_annotations
from pathopipe.annotations.spec import AnnotationSpec
from pathopipe.annotations.validate import validate
from pathopipe.errors import GeoJSONError
from pathopipe.geometry import Frame
from pathopipe.tiling.tissue import Tissue
from tests.support.written import slide_info

TISSUE = shapely.union_all(
    [
        shapely.Point(1000, 1000).buffer(600).difference(shapely.Point(1000, 1000).buffer(200)),
        shapely.box(2200, 300, 2600.4, 700.6),
    ]
)
LOST = shapely.union_all(
    [shapely.box(0, 0, 500, 500), shapely.box(500, 0, 1000, 500), shapely.box(2000, 2000, 2500, 2500)]
)


def tissue_of(polygons, artefacts):
    return Tissue(polygons, 0.0, 0.0, np.zeros((1, 1, 3), np.uint8), Frame(1, 1, 8.0, 1.0, 1.0), artefacts)


def features(path, tissue=TISSUE, lost=LOST, info=None, spec=None, artefacts=None):
    write_annotations(path, tissue_of(tissue, artefacts or {}), lost, info or slide_info(), spec or AnnotationSpec())
    return json.loads(path.read_text(encoding="utf-8"))["features"]


def test_each_connected_piece_is_an_annotation_with_its_holes(tmp_path):
    found = features(tmp_path / "annotations.geojson")
    assert [each["properties"]["name"] for each in found] == [
        "Tissue 1",
        "Tissue 2",
        "Not analysed 1",
        "Not analysed 2",
    ]
    assert {each["geometry"]["type"] for each in found} == {"Polygon"}
    assert {each["properties"]["objectType"] for each in found} == {"annotation"}
    assert [each["properties"]["isLocked"] for each in found] == [True] * 4
    assert len(found[1]["geometry"]["coordinates"]) == 2
    pieces = shapely.union_all([shape(each["geometry"]) for each in found[:2]])
    assert pieces.symmetric_difference(TISSUE).area < 0.01 * TISSUE.area
    assert found[2]["geometry"]["coordinates"][0][0] == found[2]["geometry"]["coordinates"][0][-1]


def test_areas_are_those_on_the_glass(tmp_path):
    found = features(tmp_path / "annotations.geojson", info=slide_info(mpp_x=0.5, mpp_y=0.25))
    areas = [each["properties"]["measurements"] for each in found]
    expected = (np.pi * (600**2 - 200**2)) * 0.125 / 1e6
    assert areas[1]["Tissue area mm^2"] == pytest.approx(expected, rel=0.01)
    assert areas[2]["Not analysed area mm^2"] == pytest.approx(1000 * 500 * 0.125 / 1e6)


def test_artefacts_are_one_class_and_tell_their_kind(tmp_path):
    artefacts = {
        "pen": shapely.union_all([shapely.box(0, 0, 400, 90), shapely.box(0, 700, 400, 790)]),
        "fold": shapely.box(900, 0, 990, 500),
    }
    path = tmp_path / "annotations.geojson"
    found = features(path, shapely.Polygon(), shapely.Polygon(), artefacts=artefacts)
    assert [each["properties"]["name"] for each in found] == ["Artefact (pen) 1", "Artefact (pen) 2", "Artefact (fold)"]
    assert {each["properties"]["classification"]["name"] for each in found} == {"Artefact"}
    assert all(each["properties"]["isLocked"] for each in found)
    assert found[2]["properties"]["measurements"] == {"Artefact area mm^2": pytest.approx(0.0028, rel=0.01)}
    assert validate(path).findings == ()


def test_what_is_written_is_imported_whole(tmp_path):
    features(tmp_path / "annotations.geojson")
    result = validate(tmp_path / "annotations.geojson")
    assert result.findings == ()
    assert result.by_kind == {"annotation": 4}


def test_regions_that_touch_themselves_are_written_valid(tmp_path):
    touching = shapely.Polygon([(0, 0), (90, 0), (90, 90), (0, 90)], [[(0.2, 40), (30, 30), (30, 60)]])
    pinched = shapely.Polygon([(100, 0), (200, 0), (150.2, 50), (200, 100), (100, 100), (149.8, 50)])
    found = features(tmp_path / "annotations.geojson", shapely.MultiPolygon([touching, pinched]))
    assert validate(tmp_path / "annotations.geojson").findings == ()
    assert all(shape(each["geometry"]).is_valid for each in found)


def test_a_slide_without_tissue_has_an_empty_collection(tmp_path):
    assert features(tmp_path / "annotations.geojson", shapely.MultiPolygon(), shapely.GeometryCollection()) == []


def test_one_piece_has_no_number(tmp_path):
    found = features(tmp_path / "annotations.geojson", shapely.box(0, 0, 90, 90), shapely.Polygon())
    assert [each["properties"]["name"] for each in found] == ["Tissue"]


def test_the_origin_is_qupath_s(tmp_path):
    info = slide_info(bounds=(100, 200, 3100, 2200))
    box = shapely.box(400, 500, 600, 800)
    in_qupath = features(tmp_path / "a.geojson", box, shapely.Polygon(), info)
    level0 = features(tmp_path / "b.geojson", box, shapely.Polygon(), info, AnnotationSpec(coords="level0"))
    assert shape(in_qupath[0]["geometry"]).bounds == (300, 300, 500, 600)
    assert shape(level0[0]["geometry"]).bounds == (400, 500, 600, 800)
    assert in_qupath[0]["id"] == level0[0]["id"]


def test_the_order_of_the_pieces_does_not_show(tmp_path):
    pieces = list(TISSUE.geoms)
    features(tmp_path / "a.geojson", shapely.MultiPolygon(pieces))
    features(tmp_path / "b.geojson", shapely.MultiPolygon([piece.reverse() for piece in pieces[::-1]]))
    assert (tmp_path / "a.geojson").read_bytes() == (tmp_path / "b.geojson").read_bytes()


def test_qupath_s_classes_have_qupath_s_colours():
    assert classification("Tumor") == {"name": "Tumor", "color": (200, 0, 0)}
    assert COLOURS["Stroma"] == (150, 200, 150)
    assert COLOURS["Immune cells"] == (160, 90, 160)


def test_an_unknown_class_has_a_colour_of_its_own_that_stays():
    assert colour_of("Mitosis") == colour_of("Mitosis") != colour_of("Apoptosis")
    assert all(0 <= value <= 255 for value in colour_of("Mitosis"))
    assert max(colour_of("Mitosis")) > 200


def test_a_derived_class_has_names():
    assert classification("Tumor: Positive")["names"] == ["Tumor", "Positive"]
    assert classification(" Tumor ") == classification("Tumor")


@pytest.mark.parametrize("name", ["", " ", "a\nb", ":a", "a:"])
def test_names_that_qupath_refuses_are_refused(name):
    with pytest.raises(GeoJSONError, match="QuPath refuses the class name"):
        classification(name)
