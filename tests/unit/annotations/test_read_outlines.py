from __future__ import annotations

import gzip
import json
import zipfile

import numpy as np
import pytest

from pathopipe.annotations.read import read_outlines
from pathopipe.annotations.spec import AnnotationSpec
from pathopipe.errors import GeoJSONError
from tests.support.written import drawn_cells, slide_info, table_of, write_geojson

RING = [[0, 0], [8, 0], [8, 8], [0, 0]]


def feature(kind="Polygon", coordinates=None, **properties):
    geometry = {"type": kind, "coordinates": [RING] if coordinates is None else coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def read(tmp_path, *features, name="truth.geojson"):
    path = tmp_path / name
    path.write_text(json.dumps({"type": "FeatureCollection", "features": list(features)}), encoding="utf-8")
    return read_outlines(path)


def test_what_was_written_comes_back(tmp_path):
    table = table_of(drawn_cells(500, ("Tumor", "Tumor: Positive")), slide_info())
    write_geojson(tmp_path / "cells.geojson.zip", table, slide_info(), AnnotationSpec(part_cells=150))
    found = read_outlines(tmp_path / "cells.geojson.zip")
    assert np.array_equal(found.outlines.coords, table.cells.outlines.coords)
    assert np.array_equal(found.outlines.offsets, table.cells.outlines.offsets)
    names = [table.cells.classes[index] for index in table.cells.class_id]
    assert [found.classes[index] for index in found.class_id] == names
    assert found.skipped == 0


def test_each_part_of_a_multi_polygon_is_an_outline_and_holes_are_left_out(tmp_path):
    far = [[20, 0], [28, 0], [28, 8], [20, 0]]
    found = read(tmp_path, feature("MultiPolygon", [[RING, [[1, 1], [2, 1], [2, 2], [1, 1]]], [far]]))
    assert [found.outlines.ring(index).tolist() for index in (0, 1)] == [RING[:-1], far[:-1]]


def test_points_lines_and_rings_without_area_are_counted(tmp_path):
    found = read(tmp_path, feature("Point", [1, 2]), feature(coordinates=[[[1, 1], [1, 1]]]), feature())
    assert (len(found.outlines), found.skipped) == (1, 2)


def test_of_a_cell_the_nucleus_is_read(tmp_path):
    nucleus = [[2, 2], [4, 2], [4, 4], [2, 2]]
    geometry = {"type": "Polygon", "coordinates": [nucleus]}
    cell = feature(objectType="cell") | {"nucleusGeometry": geometry}
    bare = feature(objectType="cell") | {"nucleusGeometry": None}
    detection = feature(objectType="detection") | {"nucleusGeometry": geometry}  # as QuPath, which ignores it there
    found = read(tmp_path, cell, bare, detection)
    assert [found.outlines.ring(index).tolist() for index in range(3)] == [nucleus[:-1], RING[:-1], RING[:-1]]


def test_a_ring_that_is_not_closed_keeps_all_its_vertices(tmp_path):
    assert read(tmp_path, feature(coordinates=[RING[:-1]])).outlines.ring(0).tolist() == RING[:-1]


def test_annotations_are_left_out_where_there_are_cells_and_read_where_there_are_none(tmp_path):
    tissue = feature(objectType="annotation")
    assert len(read(tmp_path, tissue, feature(objectType="detection")).outlines) == 1
    assert len(read(tmp_path, tissue, tissue).outlines) == 2
    assert len(read(tmp_path, feature()).outlines) == 1


def test_the_class_is_read_however_it_is_written(tmp_path):
    found = read(
        tmp_path,
        feature(classification={"name": "Tumor", "color": [1, 2, 3]}),
        feature(classification="Stroma"),
        feature(classification={"names": ["Tumor", "Positive"]}),
        feature(),
        feature(classification=None),
    )
    assert found.classes == ("Tumor", "Stroma", "Tumor: Positive", "")
    assert found.class_id.tolist() == [0, 1, 2, 3, 3]


def test_gz_and_one_feature_and_none(tmp_path):
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(json.dumps(feature()).encode()))
    assert len(read_outlines(tmp_path / "a.json.gz").outlines) == 1
    assert len(read(tmp_path).outlines) == 0


BAD = [
    ("not finite", [[[0, 0], [8, 0], [float("inf"), 8]]], "feature 2 cannot be read"),
    ("texts", [[["a", "b"], [8, 0], [8, 8]]], "feature 2 cannot be read"),
    ("too flat", RING, "feature 2 cannot be read"),
    ("null", [[None, [8, 0], [8, 8]]], "feature 2 cannot be read"),
]


@pytest.mark.parametrize(("why", "coordinates", "told"), BAD, ids=[row[0] for row in BAD])
def test_a_geometry_that_cannot_be_read_is_named(tmp_path, why, coordinates, told):
    with pytest.raises(GeoJSONError, match=rf"truth\.geojson, {told}"):
        read(tmp_path, feature(), feature(coordinates=coordinates))


def test_a_broken_entry_of_a_zip_is_an_error_here(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("one.geojson", json.dumps(feature()))
        archive.writestr("two.geojson", json.dumps(feature())[:-3])
    with pytest.raises(GeoJSONError, match=r"a\.zip: two\.geojson: line 1"):
        read_outlines(tmp_path / "a.zip")
