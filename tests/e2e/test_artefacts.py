"""Pens, pigment, folds and an edge drawn over a slide, through the command line."""

from __future__ import annotations

import json
import shutil
import zipfile

import pytest
import shapely
from shapely.geometry import shape

from pathopipe.models.stain import COLOURS
from tests.support.cli import pathopipe, results


@pytest.fixture(scope="module")
def spoilt(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spoilt")
    options = ("--size", 1600, 1600, "--mpp", 0.5, "--tissue", 0.95, "--seed", 4, "--defects")
    pathopipe("synth", *options, "--out", folder / "spoilt.tif", "-q")
    pathopipe("run", folder / "spoilt.tif", "--out", folder / "out", "--cluster", "serial")
    return folder


def record(out):
    return json.loads((out / "spoilt" / "slide.json").read_text())


def annotations(out):
    found = json.loads((out / "spoilt" / "annotations.geojson").read_text(encoding="utf-8"))["features"]
    kinds = {}
    for each in found:
        kinds.setdefault(each["properties"]["classification"]["name"], []).append(shape(each["geometry"]))
    return {name: shapely.union_all(shapes) for name, shapes in kinds.items()}


def defects(folder, name):
    with zipfile.ZipFile(folder / "spoilt.truth.geojson.zip") as archive:
        features = json.loads(archive.read("defects.geojson"))["features"]
    return shapely.union_all([shape(each["geometry"]) for each in features if each["properties"]["name"] == name])


def test_what_was_masked_is_told_and_is_where_it_was_drawn(spoilt):
    told, layers = record(spoilt / "out"), annotations(spoilt / "out")
    assert {"pen", "black"} <= told["artefact_mm2"].keys()
    area_mm2 = layers["Artefact"].area * 0.25e-6
    assert sum(told["artefact_mm2"].values()) == pytest.approx(area_mm2, rel=0.02)
    assert told["tissue_mm2"] == pytest.approx(layers["Tissue"].area * 0.25e-6, rel=0.01)
    assert layers["Tissue"].intersection(layers["Artefact"]).area < 0.001 * layers["Tissue"].area
    pens = defects(spoilt, "pen")
    assert layers["Tissue"].intersection(pens).area < 0.05 * pens.area
    pathopipe("validate", spoilt / "out" / "spoilt" / "annotations.geojson")


def test_no_cell_lies_in_what_was_masked(spoilt):
    import pyarrow.parquet as pq

    told, masked = record(spoilt / "out"), annotations(spoilt / "out")["Artefact"].buffer(-2)
    table = pq.read_table(spoilt / "out" / "spoilt" / "cells.parquet")
    inside = shapely.intersects_xy(masked, table["centroid_x"].to_numpy(), table["centroid_y"].to_numpy())
    assert not inside.any()
    assert table.num_rows == told["cells"] > 100
    assert set(table.column_names).isdisjoint(COLOURS)
    assert told["cells_not_nuclei"]["black"] > 10


def test_it_can_be_switched_off_without_another_run_of_the_network(spoilt, tmp_path):
    shutil.copytree(spoilt / "out", tmp_path / "out")
    instances = tmp_path / "out" / "spoilt" / "instances"
    before = {path.name: path.stat().st_mtime_ns for path in instances.glob("*.npz")}
    off = ("--cluster", "serial", "--set", "artefacts.enabled=false")
    pathopipe("run", spoilt / "spoilt.tif", "--out", tmp_path / "out", *off)
    told = record(tmp_path / "out")
    assert told["artefact_mm2"] == told["cells_not_nuclei"] == {}
    assert told["tissue_mm2"] > record(spoilt / "out")["tissue_mm2"]
    assert "Artefact" not in annotations(tmp_path / "out")
    after = {path.name: path.stat().st_mtime_ns for path in instances.glob("*.npz")}
    assert before.items() <= after.items()


def test_the_same_bytes_for_other_workers_and_the_same_mask_for_other_tiles(spoilt, tmp_path):
    pathopipe("run", spoilt / "spoilt.tif", "--out", tmp_path / "dask", "--workers", 1)
    assert results(tmp_path / "dask" / "spoilt") == results(spoilt / "out" / "spoilt")
    small = ("--cluster", "serial", "--set", "grid.tile_px=576")
    pathopipe("run", spoilt / "spoilt.tif", "--out", tmp_path / "small", *small)
    one, other = (out / "spoilt" / "annotations.geojson" for out in (tmp_path / "small", spoilt / "out"))
    assert one.read_bytes() == other.read_bytes()
    assert record(tmp_path / "small")["cells_not_nuclei"] == record(spoilt / "out")["cells_not_nuclei"]
