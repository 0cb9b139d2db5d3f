"""A run warns where the nuclei do not fit the stated resolution, and only there."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile

from tests.support.cli import pathopipe, summary


def remarks(out, name):
    return json.loads((out / name / "slide.json").read_text())["remarks"]


@pytest.mark.parametrize(("mpp", "wrong"), [(0.125, "too small"), (0.5, "too large")])
def test_a_resolution_wrong_by_two_is_remarked_everywhere(drawn_slide, tmp_path, mpp, wrong):
    done = pathopipe(
        "run",
        drawn_slide.slide,
        "--out",
        tmp_path,
        "--workers",
        1,
        "--set",
        f"slide.mpp={mpp}",
        "--set",
        "store.keep=no",
    )
    (told,) = remarks(tmp_path, "drawn")
    assert wrong in told
    assert "--mpp" in told
    assert f"warning: {told}" in done.stderr
    assert summary(tmp_path)["drawn"]["remarks"] == told
    assert wrong in (tmp_path / "report.html").read_text(encoding="utf-8")
    assert summary(tmp_path)["drawn"]["status"] == "complete"


def test_the_right_resolution_is_not_remarked(drawn_slide, tmp_path):
    done = pathopipe("run", drawn_slide.slide, "--out", tmp_path, "--cluster", "serial", "--set", "store.keep=no")
    assert remarks(tmp_path, "drawn") == []
    assert summary(tmp_path)["drawn"]["remarks"] == ""
    assert "warning" not in done.stderr


@pytest.mark.parametrize(("mpp", "wrong"), [(0.499, None), (0.25, "too small")])
def test_a_real_slide_is_remarked_where_its_resolution_is_wrong_alone(real_data, tmp_path, mpp, wrong):
    slide = real_data / "slides" / "cmu-1-small-region.svs"
    stated = ("--set", f"slide.mpp={mpp}", "--set", "store.keep=no")
    pathopipe("run", slide, "--out", tmp_path, "--cluster", "serial", *stated)
    told = remarks(tmp_path, slide.stem)
    assert wrong in told[0] if wrong else told == []


def test_a_slide_of_glass_alone_says_that_nothing_was_analysed(tmp_path):
    slide = tmp_path / "glass.tif"
    per_cm = 1e4 / 0.5
    glass = np.full((600, 600, 3), 243, np.uint8)
    tifffile.imwrite(
        slide, glass, tile=(256, 256), photometric="rgb", resolution=(per_cm, per_cm), resolutionunit="CENTIMETER"
    )
    done = pathopipe("run", slide, "--out", tmp_path / "out", "--cluster", "serial")
    (told,) = remarks(tmp_path / "out", "glass")
    assert "No tissue was found" in told
    assert f"warning: {told}" in done.stderr
    assert summary(tmp_path / "out")["glass"]["remarks"] == told
