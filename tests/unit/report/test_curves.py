"""The picture of a training."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from pathopipe.report.curves import training_curves

LOSSES = [{"step": step, "loss": 0.6 + 2 / step} for step in range(20, 400, 20)]
SCORES = [{"step": step, "f1": 0.5 + step / 1000, "pq": 0.3, "aji": None} for step in (100, 200, 300)]


def picture(lines):
    return np.asarray(Image.open(io.BytesIO(training_curves(lines, "mine 1"))).convert("RGB")).astype(int)


def like(image, colour):
    return (np.abs(image - colour).max(axis=2) < 40).sum()


def test_there_is_a_panel_for_the_held_out_images_where_there_are_any():
    without, with_scores = picture(LOSSES), picture(LOSSES + SCORES)
    assert with_scores.shape[0] > without.shape[0] + 200
    assert like(without, (190, 60, 30)) == 0
    assert like(with_scores, (190, 60, 30)) > 200  # F1
    assert like(with_scores, (60, 140, 90)) == 0  # no AJI


@pytest.mark.parametrize("lines", [[], LOSSES[:1], [{"step": 1, "f1": 0.0, "pq": 0.0, "aji": 0.0}]])
def test_little_to_draw_is_drawn_too(lines):
    assert picture(lines).shape[2] == 3


def test_the_same_log_gives_the_same_bytes():
    assert training_curves(LOSSES, "a") == training_curves(LOSSES, "a")
