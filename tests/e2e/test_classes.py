"""A user's own classes: drawn in QuPath on one slide, found on another, coloured and counted."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from pathopipe.annotations.colours import colour_of
from pathopipe.annotations.read import read_outlines
from tests.support.classed import CLASSES, draw_classed, matched
from tests.support.cli import pathopipe, summary
from tests.support.drawn_slides import halved, write_svs

SIDE = 1024
CONFIG = """
name: mine
classes: [Tumor, Immune cells]
sets:
  - slide: slides/first.svs
    annotations: first.geojson
    class_map: {lymphocyte: Immune cells}
"""
QUICK = """
net: {widths: [16, 24, 32], blocks: [1, 1, 1], head: 24, rays: 16}
iterations: 120
batch: 4
patch_px: 96
learning_rate: 4.0e-3
warm_up: 20
ema_decay: 0.98
drawn: 0
workers: 0
"""


def slide(path, drawn):
    return write_svs(path, [drawn.rgb, halved(drawn.rgb, 4)])


def exported(drawn):
    """What QuPath exports of ``drawn``: nuclei outlined in its upper part, and a region that says so."""
    upper = [(0, 0), (SIDE, 0), (SIDE, 700), (0, 700), (0, 0)]
    region = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [upper]},
        "properties": {"objectType": "annotation", "classification": {"name": "Region*", "color": [0, 0, 180]}},
    }
    names = {"Tumor": "Tumor", "Immune cells": "lymphocyte"}
    features = [region]
    for index in np.flatnonzero(drawn.outlines.bounds()[:, 1] < 700):
        ring = drawn.outlines.ring(index).astype(float).tolist()
        classification = {"name": names[CLASSES[drawn.class_id[index]]], "color": [1, 2, 3]}
        features.append(
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [[*ring, ring[0]]]},
                "properties": {"objectType": "detection", "classification": classification},
            }
        )
    return {"type": "FeatureCollection", "features": features}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    (folder / "slides").mkdir()
    drawn = draw_classed(21, SIDE, pixel=0.5)
    slide(folder / "slides" / "first.svs", drawn)
    (folder / "first.geojson").write_text(json.dumps(exported(drawn)))
    return folder


def test_classes_drawn_on_one_slide_are_found_on_another(folder, tmp_path):
    (folder / "train.yaml").write_text(CONFIG + QUICK)
    model = tmp_path / "mine.safetensors"
    pathopipe("train", "--config", folder / "train.yaml", "--out", model)
    assert "classes        Tumor, Immune cells" in pathopipe("models", model).stdout

    fresh = draw_classed(22, SIDE, pixel=0.5)
    pathopipe(
        "run", slide(tmp_path / "fresh.svs", fresh), "--out", tmp_path / "out", "--model", model, "--cluster", "serial"
    )
    row = summary(tmp_path / "out")["fresh"]
    assert row["status"] == "complete"

    cells = tmp_path / "out" / "fresh" / "cells.geojson.zip"
    pathopipe("validate", cells)
    found = read_outlines(cells)
    names = np.array(found.classes)[found.class_id]
    given, true = matched(found.outlines, names, fresh.outlines, np.array(CLASSES)[fresh.class_id])
    assert len(true) > 0.8 * len(fresh.outlines)
    for name in CLASSES:
        assert np.mean(given[true == name] == name) > 0.9

    with zipfile.ZipFile(cells) as archive:
        features = json.loads(archive.read("part-0001.geojson"))["features"]
    colours = {
        each["properties"]["classification"]["name"]: tuple(each["properties"]["classification"]["color"])
        for each in features
    }
    assert colours == {name: colour_of(name) for name in CLASSES}
    assert len(set(colours.values())) == 2
    assert all(0.5 <= each["properties"]["measurements"]["Class probability"] <= 1 for each in features)

    counts = [int(row[f"cells_{name}"]) for name in ("tumor", "immune_cells")]
    assert counts == [int((names == name).sum()) for name in CLASSES]
    assert sum(counts) == int(row["cells"])
    densities = [float(row[f"cells_per_mm2_{name}"]) for name in ("tumor", "immune_cells")]
    assert sum(densities) == pytest.approx(float(row["cells_per_mm2"]), rel=1e-3)


def test_the_default_model_is_gone_on_from_with_classes_of_ones_own(folder, tmp_path):
    settings = "\nstart: nuclei\niterations: 2\nbatch: 2\npatch_px: 96\nworkers: 0\ndrawn: 0.5\n"
    (folder / "start.yaml").write_text(CONFIG + settings)
    model = tmp_path / "mine.safetensors"
    done = pathopipe("train", "--config", folder / "start.yaml", "--out", model)
    assert "what finds and outlines nuclei is kept, the class head begins anew for Tumor, Immune cells." in done.stderr
    pathopipe("run", folder / "slides" / "first.svs", "--out", tmp_path / "o", "--model", model, "--cluster", "serial")
    assert summary(tmp_path / "o")["first"]["status"] == "complete"


def test_a_class_that_nobody_explained_is_told(folder, tmp_path):
    config = (CONFIG + QUICK).replace("    class_map: {lymphocyte: Immune cells}\n", "")
    (folder / "wrong.yaml").write_text(config)
    done = pathopipe("train", "--config", folder / "wrong.yaml", "--out", tmp_path / "m.safetensors", code=1)
    assert "'lymphocyte'" in done.stderr
    assert "class_map" in done.stderr
