from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
import tempfile
import time
import tracemalloc
import zipfile
from pathlib import Path
from unittest import mock

import geojson
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.annotations import geojson as geojson_file
from pathopipe.annotations.read import read_outlines
from pathopipe.annotations.spec import AnnotationSpec
from pathopipe.annotations.validate import validate
from pathopipe.annotations.write import block_cells, cell_files, make_block
from pathopipe.annotations.written import WrittenCells
from pathopipe.errors import GeoJSONError, OutputDiskError, StoreError
from pathopipe.geometry import Rect
from pathopipe.instances import Instances
from tests.support.written import (
    drawn_cells,
    ring_cells,
    slide_info,
    table_of,
    write_both,
    write_geojson,
    write_parquet,
)

CLASSES = ("Tumor", "Immune cells", "Tumor: Positive", "Zellkern µ 核")


INFO = slide_info()


def written(path, cells, info=INFO, spec=None):
    table = table_of(cells, info)
    write_geojson(path, table, info, spec)
    return table


def parts(path):
    with zipfile.ZipFile(path) as archive:
        return {entry.filename: json.loads(archive.read(entry)) for entry in archive.infolist()}


def test_each_cell_is_a_detection_as_qupath_reads_it(tmp_path):
    table = written(tmp_path / "cells.geojson.zip", drawn_cells(400, CLASSES))
    collections = parts(tmp_path / "cells.geojson.zip")
    assert list(collections) == ["part-0001.geojson"]
    features = collections["part-0001.geojson"]["features"]
    assert len(features) == len(table) > 200
    for cell, feature in enumerate(features):
        properties = feature["properties"]
        assert feature["id"] == table.ids[cell].decode()
        assert properties["objectType"] == "detection"
        assert set(feature) == {"type", "id", "geometry", "properties"}
        assert set(properties) == {"objectType", "classification", "measurements"}
        name = CLASSES[table.cells.class_id[cell]]
        expected = {"names": ["Tumor", "Positive"]} if ":" in name else {"name": name}
        assert {key: properties["classification"][key] for key in expected} == expected
        assert len(properties["classification"]["color"]) == 3
        assert properties["measurements"]["Area µm^2"] == table.columns["area_um2"][cell]
        assert properties["measurements"]["Detection probability"] == table.columns["score"][cell]
        assert all(np.isfinite(value) for value in properties["measurements"].values())
        ring = feature["geometry"]["coordinates"][0]
        assert ring[0] == ring[-1]
        assert all(value == round(value, 1) for point in ring for value in point)


def test_our_geojson_is_geojson_and_valid_for_others_and_for_us(tmp_path):
    path = tmp_path / "cells.geojson.zip"
    written(path, drawn_cells(400, CLASSES))
    with zipfile.ZipFile(path) as archive:
        collection = geojson.loads(archive.read("part-0001.geojson"))
    assert isinstance(collection, geojson.FeatureCollection)
    assert collection.is_valid, collection.errors()
    shapes = shapely.from_geojson([geojson.dumps(feature["geometry"]) for feature in collection["features"]])
    assert shapely.is_valid(shapes).all()
    result = validate(path)
    assert result.findings == ()
    assert result.ok


def test_bad_outlines_are_repaired_or_left_out_before_qupath_sees_them(tmp_path):
    rng = np.random.default_rng(0)
    rings = [rng.uniform(0, 60, (rng.integers(3, 12), 2)) for _ in range(200)]
    rings += [[(1, 1), (1, 1), (1, 1)], [(0, 0), (9, 0), (9, 0.04)], [(0, 0), (6, 4), (6, 0), (0, 8)]]
    table = written(tmp_path / "cells.geojson.zip", ring_cells(*rings))
    assert len(table) == 201
    assert table.dropped == 2
    assert table.repaired > 100
    assert validate(tmp_path / "cells.geojson.zip").findings == ()


def test_a_part_holds_no_more_cells_than_asked_for(tmp_path):
    path = tmp_path / "cells.geojson.zip"
    table = written(path, drawn_cells(400), spec=AnnotationSpec(part_cells=100))
    sizes = [len(part["features"]) for part in parts(path).values()]
    assert sum(sizes) == len(table)
    assert set(sizes[:-1]) == {100}
    assert list(parts(path))[:2] == ["part-0001.geojson", "part-0002.geojson"]
    ids = [feature["id"] for part in parts(path).values() for feature in part["features"]]
    assert ids == [each.decode() for each in table.ids]


def test_a_part_of_exactly_the_cells_there_are_is_the_only_one(tmp_path):
    path = tmp_path / "cells.geojson.zip"
    cells = drawn_cells(400).take(np.arange(50))
    written(path, cells, spec=AnnotationSpec(part_cells=50))
    assert len(parts(path)) == 1


def test_no_cells_are_an_empty_collection_and_an_empty_table(tmp_path):
    info = slide_info()
    table = written(tmp_path / "cells.geojson.zip", Instances.empty(("Nucleus",), ["hematoxylin_od_mean"]), info)
    write_parquet(tmp_path / "cells.parquet", table, INFO)
    assert parts(tmp_path / "cells.geojson.zip") == {"part-0001.geojson": {"type": "FeatureCollection", "features": []}}
    read = pq.read_table(tmp_path / "cells.parquet")
    assert read.num_rows == 0
    full = table_of(drawn_cells(100), info)
    write_parquet(tmp_path / "full.parquet", full, INFO)
    assert read.schema.equals(pq.read_table(tmp_path / "full.parquet").schema)


BOUNDS = [
    ("both sides differ: QuPath crops", (100, 200, 3100, 2200), "qupath", (100, 200)),
    ("the user wants level 0", (100, 200, 3100, 2200), "level0", (0, 0)),
    ("the width is the slide's", (0, 200, 4000, 2200), "qupath", (0, 0)),
    ("the height is the slide's", (100, 0, 3100, 3000), "qupath", (0, 0)),
    ("no bounds", None, "qupath", (0, 0)),
]


@pytest.mark.parametrize(("why", "bounds", "coords", "shift"), BOUNDS, ids=[row[0] for row in BOUNDS])
def test_the_origin_is_where_qupath_has_it(tmp_path, why, bounds, coords, shift):
    info = slide_info(bounds=bounds)
    cells = drawn_cells(200, offset=(500, 600))
    path = tmp_path / "cells.geojson.zip"
    table = written(path, cells, info, AnnotationSpec(coords=coords))
    write_parquet(tmp_path / "cells.parquet", table, info)
    exact = np.round(table.cells.outlines.coords.astype(np.float64), 1)
    assert np.allclose(read_outlines(path).outlines.coords, exact - shift, atol=1e-3)
    geometry = shapely.from_wkb(pq.read_table(tmp_path / "cells.parquet")["geometry"].to_numpy(zero_copy_only=False))
    assert np.array_equal(geometry, table.cells.outlines.to_shapely(decimals=1))


def test_a_measurement_that_is_missing_is_absent_in_geojson_and_null_in_parquet(tmp_path):
    cells = drawn_cells(200)
    cells.measurements["hematoxylin_od_mean"][3] = np.nan
    table = written(tmp_path / "cells.geojson.zip", cells)
    write_parquet(tmp_path / "cells.parquet", table, INFO)
    features = parts(tmp_path / "cells.geojson.zip")["part-0001.geojson"]["features"]
    has = ["Hematoxylin: Mean OD" in feature["properties"]["measurements"] for feature in features]
    assert has == [cell != 3 for cell in range(len(table))]
    assert pq.read_table(tmp_path / "cells.parquet")["hematoxylin_od_mean"].is_null().to_pylist().index(True) == 3


def test_parquet_and_geojson_tell_the_same(tmp_path):
    cells = drawn_cells(600, CLASSES, offset=(80_000, 60_000))
    table = written(tmp_path / "cells.geojson.zip", cells, slide_info(100_000, 90_000))
    write_parquet(tmp_path / "cells.parquet", table, INFO)
    rows = pq.read_table(tmp_path / "cells.parquet").to_pylist()
    features = parts(tmp_path / "cells.geojson.zip")["part-0001.geojson"]["features"]
    assert len(rows) == len(features)
    for row, feature in zip(rows, features, strict=True):
        classification = feature["properties"]["classification"]
        assert row["id"] == feature["id"]
        assert row["class"] == (classification.get("name") or ": ".join(classification["names"]))
        assert row["area_um2"] == feature["properties"]["measurements"]["Area µm^2"]
        polygon = shapely.from_wkb(row["geometry"])
        assert polygon.equals(shapely.geometry.shape(feature["geometry"]))
        assert shapely.get_coordinates(polygon).tolist() == feature["geometry"]["coordinates"][0]
        assert tuple(row["bbox"].values()) == polygon.bounds
        assert (row["centroid_x"], row["centroid_y"]) == pytest.approx(polygon.centroid.coords[0], abs=0.02)


def test_parquet_is_geoparquet(tmp_path):
    table = table_of(drawn_cells(300), slide_info())
    write_parquet(tmp_path / "cells.parquet", table, INFO)
    file = pq.ParquetFile(tmp_path / "cells.parquet")
    geo = json.loads(file.schema_arrow.metadata[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    assert geo["version"] == "1.1.0"
    assert (column["encoding"], column["geometry_types"], column["crs"]) == ("WKB", ["Polygon"], None)
    assert column["covering"]["bbox"]["xmax"] == ["bbox", "xmax"]
    bounds = shapely.total_bounds(table.cells.outlines.to_shapely(decimals=1))
    assert column["bbox"] == pytest.approx(bounds.tolist())
    names = file.schema_arrow.names
    assert names[:4] == ["id", "class", "centroid_x", "centroid_y"]
    assert names[-2:] == ["geometry", "bbox"]
    assert {"area_um2", "perimeter_um", "eccentricity", "solidity", "score", "hematoxylin_od_mean"} <= set(names)


def test_bytes_are_the_same_every_time_and_in_another_process(tmp_path):
    script = (
        "import sys; from pathlib import Path\n"
        "from tests.support.written import drawn_cells, slide_info, table_of, write_geojson, write_parquet\n"
        "out = Path(sys.argv[1]); info = slide_info()\n"
        "table = table_of(drawn_cells(300, ('Tumor', 'Some class')), info)\n"
        "write_geojson(out / 'cells.geojson.zip', table, info)\n"
        "write_parquet(out / 'cells.parquet', table, info)\n"
    )
    folders = [tmp_path / "one", tmp_path / "two"]
    for seed, folder in enumerate(folders):
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": str(seed), "TZ": ["UTC", "Asia/Tokyo"][seed]}
        subprocess.run([sys.executable, "-c", script, str(folder)], check=True, env=environment)
    for name in ("cells.geojson.zip", "cells.parquet"):
        assert (folders[0] / name).read_bytes() == (folders[1] / name).read_bytes()


def test_nothing_appears_where_the_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "cells.geojson.zip"
    path.write_bytes(b"what was there")

    def changed_later(file, archive, check=geojson_file._check):
        with open(file, "r+b") as written:
            written.seek(200)
            written.write(b"\0\0\0\0")
        check(file, archive)

    monkeypatch.setattr(geojson_file, "_check", changed_later)
    with pytest.raises(GeoJSONError, match="damaged after writing"):
        written(path, drawn_cells(100))
    assert [each.name for each in tmp_path.iterdir()] == ["cells.geojson.zip"]
    assert path.read_bytes() == b"what was there"


@settings(deadline=None, max_examples=15)
@given(part_cells=st.integers(1, 250), measured=st.integers(1, 250), piece=st.integers(1, 250))
def test_the_files_do_not_depend_on_how_many_cells_are_worked_on_at_a_time(part_cells, measured, piece):
    cells, spec = drawn_cells(340, CLASSES), AnnotationSpec(part_cells=part_cells)
    assert len(cells) > 190
    with tempfile.TemporaryDirectory() as folder:
        one, two = ((Path(folder) / f"{name}.geojson.zip", Path(folder) / f"{name}.parquet") for name in "ab")
        counts = [made.count for made in write_both(*one, [cells], INFO, spec)]
        with (
            mock.patch("pathopipe.annotations.write.MEASURED_CELLS", measured),
            mock.patch("pathopipe.annotations.geojson.PIECE_CELLS", piece),
        ):
            assert [made.count for made in write_both(*two, [cells], INFO, spec)] == counts
        assert one[0].read_bytes() == two[0].read_bytes()
        assert one[1].read_bytes() == two[1].read_bytes()


def test_the_text_of_the_geojson_does_not_depend_on_the_blocks(tmp_path):
    cells, spec = drawn_cells(340, CLASSES), AnnotationSpec(part_cells=20)
    blocks = [cells.part(start, min(start + 60, len(cells))) for start in range(0, len(cells), 60)]
    write_both(tmp_path / "one.zip", tmp_path / "one.parquet", [cells], INFO, spec)
    write_both(tmp_path / "two.zip", tmp_path / "two.parquet", blocks, INFO, spec)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    assert pq.read_table(tmp_path / "one.parquet").equals(pq.read_table(tmp_path / "two.parquet"))
    assert pq.ParquetFile(tmp_path / "two.parquet").num_row_groups == len(blocks)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.parquet", "one.zip", "two.parquet", "two.zip"]


@pytest.mark.parametrize(("part_cells", "block"), [(20_000, 20_000), (7_000, 14_000), (10_001, 10_001), (1, 20_000)])
def test_a_block_is_whole_parts(part_cells, block):
    assert block_cells(AnnotationSpec(part_cells=part_cells)) == block


def test_blocks_without_cells_are_no_parts_and_no_row_groups(tmp_path):
    paths = tmp_path / "cells.geojson.zip", tmp_path / "cells.parquet"
    cells, gone = drawn_cells(100), ring_cells([(1, 1), (1, 1), (1, 1)])
    made = write_both(*paths, [gone, cells, gone], INFO)
    assert [each.count for each in made] == [(0, 0, 1), (len(cells), 0, 0), (0, 0, 1)]
    assert list(parts(paths[0])) == ["part-0001.geojson"]
    assert pq.ParquetFile(paths[1]).num_row_groups == 1
    write_both(*paths, [gone], INFO)
    assert parts(paths[0]) == {"part-0001.geojson": {"type": "FeatureCollection", "features": []}}
    assert pq.ParquetFile(paths[1]).num_row_groups == 0


def test_a_full_disk_is_told_of_a_block_and_of_the_whole(tmp_path, monkeypatch):
    def fails(self, part):
        raise OSError(28, "No space left on device")

    def full(table, info, spec):
        raise OSError(28, "No space left on device")

    made = make_block(tmp_path / "0", drawn_cells(100), INFO, AnnotationSpec())
    monkeypatch.setattr(geojson_file._Archive, "add", fails)
    with (
        pytest.raises(OutputDiskError, match="cannot be written"),
        cell_files(tmp_path / "c.zip", tmp_path / "c.parquet", INFO) as add,
    ):
        add(made)
    gc.collect()
    monkeypatch.setattr("pathopipe.annotations.write.geojson_parts", full)
    with pytest.raises(OutputDiskError, match="cannot be written"):
        make_block(tmp_path / "1", drawn_cells(100), INFO, AnnotationSpec())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.arrow", "0.geojson"]


@pytest.mark.parametrize("suffix", [".geojson", ".arrow"])
@pytest.mark.parametrize("left", [None, 0, 1000])
def test_a_block_that_is_gone_or_cut_off_is_told_and_leaves_what_was_there(tmp_path, suffix, left):
    paths = tmp_path / "cells.geojson.zip", tmp_path / "cells.parquet"
    for path in paths:
        path.write_bytes(b"what was there")
    made = make_block(tmp_path / "0", drawn_cells(100), INFO, AnnotationSpec())
    damaged = made.path.with_suffix(suffix)
    whole = damaged.read_bytes()
    damaged.unlink() if left is None else damaged.write_bytes(whole[:left])
    with pytest.raises(StoreError, match="run again"), cell_files(*paths, INFO) as add:
        add(made)
    gc.collect()
    made.remove()
    assert sorted(tmp_path.iterdir()) == list(paths)
    assert [path.read_bytes() for path in paths] == [b"what was there"] * 2


def test_what_is_dropped_and_repaired_is_counted(tmp_path):
    cells = ring_cells([(0, 0), (8, 0), (8, 8), (0, 8)], [(1, 1), (1, 1), (1, 1)], [(0, 0), (6, 4), (6, 0), (0, 8)])
    assert make_block(tmp_path / "0", cells, INFO, AnnotationSpec()).count == (2, 1, 1)


def test_class_names_that_qupath_would_refuse_are_refused_before_anything_is_written(tmp_path):
    for name in ("", "  ", "Tumor:", ":", "two\nlines", "a\rb", "a: :b"):
        with pytest.raises(GeoJSONError, match="class name"):
            make_block(tmp_path / "0", drawn_cells(100, classes=(name,)), INFO, AnnotationSpec())
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_is_read_back(tmp_path):
    cells = drawn_cells(700, CLASSES, offset=(70_000, 50_000))
    table = table_of(cells, INFO)
    write_parquet(tmp_path / "cells.parquet", table, INFO, group_cells=100)
    found = WrittenCells.read(tmp_path / "cells.parquet", CLASSES)
    assert len(found) == len(table)
    assert np.array_equal(found.class_id, table.cells.class_id)
    assert np.array_equal(found.area_um2, table.columns["area_um2"])
    assert np.allclose(found.centroids, table.cells.outlines.centroids(), atol=0.006)
    for rect in [Rect(0, 0, 1e6, 1e6), Rect(70_100, 50_050, 70_230, 50_300), Rect(0, 0, 10, 10)]:
        x0, y0, x1, y1 = table.cells.outlines.bounds().T
        expected = table.cells.take((x1 > rect.x0) & (x0 < rect.x1) & (y1 > rect.y0) & (y0 < rect.y1))
        seen = found.within(rect)
        assert np.array_equal(seen.outlines.coords, expected.outlines.coords)
        assert np.array_equal(seen.outlines.offsets, expected.outlines.offsets)
        assert np.array_equal(seen.class_id, expected.class_id)
    with pytest.raises(StoreError, match="has cells of the classes"):
        WrittenCells.read(tmp_path / "cells.parquet", ("Tumor",))


def test_what_is_no_parquet_file_is_told(tmp_path):
    (tmp_path / "cells.parquet").write_bytes(b"cut off")
    with pytest.raises(StoreError, match="cannot be read"):
        WrittenCells.read(tmp_path / "cells.parquet", CLASSES)


def test_writing_takes_seconds_for_a_hundred_thousand_cells_and_flat_memory(tmp_path):
    info, spec = slide_info(100_000, 100_000), AnnotationSpec(part_cells=2_000)
    block = drawn_cells(800)
    cells = block.take(np.resize(np.arange(len(block)), 8_000))
    start = time.process_time()
    table = written(tmp_path / "cells.geojson.zip", cells, info, spec)
    write_parquet(tmp_path / "cells.parquet", table, INFO)
    assert (time.process_time() - start) * 100_000 / 8_000 < 60
    peaks = []
    for number in (4_000, 8_000):
        some = table_of(cells.take(np.arange(number)), info)
        tracemalloc.start()
        write_geojson(tmp_path / "again.geojson.zip", some, info, spec)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
