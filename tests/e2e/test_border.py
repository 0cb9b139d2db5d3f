"""A small image is all border: nuclei that it cuts are found, and no outline leaves it."""

from __future__ import annotations

import numpy as np
import tifffile

from pathopipe.annotations.read import read_outlines
from pathopipe.evaluation import evaluate_labels
from pathopipe.evaluation.labels import painted
from pathopipe.geometry import Box
from pathopipe.synth.region import draw_region
from pathopipe.synth.spec import SynthSpec
from tests.support.cli import pathopipe

SIDE = 300


def test_nuclei_cut_by_the_border_are_found_and_end_there(tmp_path):
    drawn = draw_region(
        SynthSpec(width=2048, height=2048, mpp=0.5, tissue_fraction=1.0), Box(900, 900, 900 + SIDE, 900 + SIDE)
    )
    per_cm = 1e4 / 0.5
    slide = tmp_path / "region.tif"
    tifffile.imwrite(
        slide, drawn.rgb, tile=(256, 256), photometric="rgb", resolution=(per_cm, per_cm), resolutionunit="CENTIMETER"
    )
    options = ("--set", "tissue.enabled=false", "--set", "engine.cluster=serial")
    pathopipe("run", slide, "--out", tmp_path / "out", *options)
    outlines = read_outlines(tmp_path / "out" / "region" / "cells.geojson.zip").outlines
    assert outlines.coords.min() >= 0
    assert outlines.coords.max() <= SIDE
    inner = drawn.labels[1:-1, 1:-1]
    cut = np.setdiff1d(np.unique(drawn.labels), [0])
    cut = cut[[np.count_nonzero(drawn.labels == each) > np.count_nonzero(inner == each) for each in cut]]
    assert len(cut) > 10
    at_border = np.where(np.isin(drawn.labels, cut), drawn.labels, 0)
    agreement = evaluate_labels(painted(outlines, drawn.labels.shape), at_border)
    assert agreement.recall > 0.5
