"""The map of disagreement, and raters' files."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely

from pathopipe.annotations.disagreement import write_disagreement
from pathopipe.annotations.rater import read_rater
from pathopipe.annotations.read import read_outlines, read_region
from pathopipe.annotations.validate import validate
from pathopipe.errors import GeoJSONError
from pathopipe.evaluation.comparison import compare_raters
from pathopipe.evaluation.pairs import EvaluationError, valid_polygons
from pathopipe.evaluation.raters import Rater
from pathopipe.geometry import Outlines
from tests.support.raters import rater, write_rater, write_region

ANN = rater("ann", (0, "T"), (100, "T"), (200, "T"), (300, "S"), (400, "S"), (500, "T"))
BOB = rater("bob", (2, "T"), (100, "T"), (200, "S"), (300, "S"), (600, "S"))
CY = rater("cy", (0, "T"), (100, "S"), (200, "T"), (300, "S"), (500, "T"), (600, "S"))


def features(path):
    return json.loads(path.read_text(encoding="utf-8"))["features"]


def test_the_map_shows_what_not_all_agree_on(tmp_path):
    path = tmp_path / "map.geojson"
    shown = write_disagreement(path, compare_raters([ANN, BOB, CY]))
    assert shown.kinds == {"Class differs": 2, "Not outlined by all": 2, "Only ann": 1}
    assert shown.dropped == 0
    found = {feature["geometry"]["coordinates"][0][0][0] // 100: feature["properties"] for feature in features(path)}
    assert {place: each["classification"]["name"] for place, each in found.items()} == {
        1: "Class differs",
        2: "Class differs",
        4: "Only ann",
        5: "Not outlined by all",
        6: "Not outlined by all",
    }
    assert found[1]["name"] == "ann: T | bob: T | cy: S"
    assert found[4]["metadata"] == {"ann": "S", "bob": "none", "cy": "none"}
    assert found[6]["measurements"] == {
        "Raters who outlined it": 2,
        "Outlined by ann": 0,
        "Outlined by bob": 1,
        "Outlined by cy": 1,
    }


def test_qupath_imports_the_map_whole(tmp_path):
    path = tmp_path / "map.geojson"
    write_disagreement(path, compare_raters([ANN, Rater("a:b\nc", BOB.polygons, BOB.classes), CY]))
    result = validate(path)
    assert result.ok
    assert result.findings == ()
    assert result.by_kind == {"detection": 5}


def test_the_map_of_agreement_is_empty_and_the_same_comparison_gives_the_same_bytes(tmp_path):
    one, other = tmp_path / "one.geojson", tmp_path / "other.geojson"
    assert write_disagreement(one, compare_raters([ANN, Rater("twin", ANN.polygons, ANN.classes)])).kinds == {}
    assert features(one) == []
    for path in (one, other):
        write_disagreement(path, compare_raters([ANN, BOB]))
    assert one.read_bytes() == other.read_bytes()


def test_outlines_in_pieces_or_without_area_on_the_grid(tmp_path):
    pieces = shapely.union(shapely.box(50, 50, 60, 60), shapely.box(70, 50, 72, 52))
    polygons = np.array([pieces, shapely.box(40, 0, 40.01, 1)])
    shown = write_disagreement(
        tmp_path / "map.geojson", compare_raters([Rater("a", polygons, np.array(["T", "T"])), BOB])
    )
    assert shown.dropped == 1
    assert shown.kinds["Only a"] == 2
    assert validate(tmp_path / "map.geojson").ok


def test_outlines_that_cross_themselves_are_compared_and_mapped(tmp_path):
    rng = np.random.default_rng(0)
    spike = np.array([[0, 0], [10, 0], [10, 10], [5, 10], [5, 20], [5, 10], [0, 10]], float)
    for _ in range(20):
        raters = []
        for name in "ab":
            crossed = [rng.uniform(0, 60, 2) + rng.normal(0, 8, (rng.integers(4, 9), 2)) for _ in range(20)]
            polygons = valid_polygons(Outlines.of([spike, *crossed]))
            assert {polygon.geom_type for polygon in polygons} <= {"Polygon", "MultiPolygon"}
            raters.append(Rater(name, polygons, np.array(["T"] * len(polygons))))
        shown = write_disagreement(tmp_path / "map.geojson", comparison := compare_raters(raters))
        assert 0 < comparison.pairs[0].figures.dice <= 1
        assert sum(shown.kinds.values()) == (~comparison.agreed).sum()
        assert validate(tmp_path / "map.geojson").ok


def test_raters_files_are_read_as_they_were_written(tmp_path):
    given = rater("ann", (0, "T"), (100, "unclassified"), (200, "Tumor: Positive"))
    read, left_out = read_rater(write_rater(tmp_path, given), "ann")
    assert left_out == 0
    assert read.classes.tolist() == ["T", "unclassified", "Tumor: Positive"]
    assert shapely.equals(read.polygons, given.polygons).all()
    assert set(read_rater(tmp_path / "ann.geojson", "x", ignore_classes=True).rater.classes) == {"unclassified"}


def test_label_images_are_raters_too(tmp_path):
    labels = np.zeros((12, 40), np.uint16)
    labels[1:11, 2:12], labels[1:11, 25:35], labels[5, 5] = 7, 3, 0
    np.save(tmp_path / "a.npy", labels)
    read = read_rater(tmp_path / "a.npy", "a").rater
    assert shapely.area(read.polygons).tolist() == [100, 99]  # in the order of the values; a hole is a hole
    assert shapely.bounds(read.polygons).tolist() == [[25, 1, 35, 11], [2, 1, 12, 11]]


def test_what_has_no_area_is_left_out_and_counted(tmp_path):
    flat = [[0, 0], [5, 0], [9, 0], [0, 0]]
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [flat]}, "properties": {}}
    (tmp_path / "a.geojson").write_text(json.dumps([feature]), encoding="utf-8")
    read = read_rater(tmp_path / "a.geojson", "a")
    assert (len(read.rater), read.left_out) == (0, 1)


def test_missing_files_and_folders_are_told(tmp_path):
    with pytest.raises(EvaluationError, match="not there"):
        read_rater(tmp_path / "a.geojson", "a")
    with pytest.raises(EvaluationError, match="one file a rater"):
        read_rater(tmp_path, "a")


def test_a_region_is_the_union_of_the_annotations(tmp_path):
    region = read_region(write_region(tmp_path / "r.geojson", 0, 0, 10, 20))
    assert region.equals(shapely.box(0, 0, 10, 20))
    hole = shapely.box(0, 0, 10, 10).difference(shapely.box(2, 2, 4, 4))
    two = [
        {"type": "Feature", "geometry": json.loads(shapely.to_geojson(shape)), "properties": {}}
        for shape in (hole, shapely.box(5, 0, 15, 10))
    ]
    (tmp_path / "two.geojson").write_text(json.dumps(two), encoding="utf-8")
    assert read_region(tmp_path / "two.geojson").area == 150 - 4


def test_a_file_without_a_region_is_refused(tmp_path):
    path = write_rater(tmp_path, ANN)
    assert len(read_outlines(path).outlines) == 6
    with pytest.raises(GeoJSONError, match="draw it as an annotation"):
        read_region(path)
    broken = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [[[0, 0], [1]]]}, "properties": {}}
    path.write_text(json.dumps(broken), encoding="utf-8")
    with pytest.raises(GeoJSONError, match="feature 1 cannot be read"):
        read_region(path)
