"""Haematoxylin on pixels and per nucleus."""

from __future__ import annotations

import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.geometry import Outlines
from pathopipe.instances import Instances
from pathopipe.models.stain import BLACK_PART, COLOURS, HEMATOXYLIN_OD_MEAN, haematoxylin_od, measure


def rendered(h, e=0.0):
    """Return the colour of an amount of the published haematoxylin and eosin."""
    stains = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
    stains /= np.linalg.norm(stains, axis=1, keepdims=True)
    return np.round(255 * 10 ** -(np.array([h, e]) @ stains)).astype(np.uint8)


def square(x0, y0, x1, y1):
    return np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float)


def instances(*rings):
    n = len(rings)
    return Instances(Outlines.of(rings), np.ones(n, np.float32), np.zeros(n, np.uint8), ("Nucleus",))


@pytest.mark.parametrize(("h", "e"), [(0.0, 0.0), (0.5, 0.0), (1.0, 0.3), (0.0, 0.6), (0.3, 0.3)])
def test_deconvolution_returns_what_was_rendered(h, e):
    image = np.tile(rendered(h, e), (3, 4, 1))
    found = haematoxylin_od(image)
    assert found.shape == (3, 4)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, h, atol=0.02)


def test_mean_is_over_the_pixels_inside():
    tile = np.full((32, 32, 3), 255, np.uint8)
    tile[8:16, 4:12] = rendered(0.8)
    measured = measure(tile, instances(square(4, 8, 12, 16), square(4, 8, 20, 16), square(20, 20, 30, 30)))
    # the second covers as much stain as glass; cv2 counts pixels that the border touches, so not to the last digit
    np.testing.assert_allclose(measured.measurements[HEMATOXYLIN_OD_MEAN], [0.8, 0.4, 0.0], atol=0.03)


def test_outlines_beyond_the_tile_are_measured_on_what_there_is_or_nan():
    tile = np.tile(rendered(0.5), (16, 16, 1))
    measured = measure(tile, instances(square(-8, -8, 4, 4), square(-9, -9, -2, -2), square(14, 14, 40, 40)))
    np.testing.assert_allclose(measured.measurements[HEMATOXYLIN_OD_MEAN], [0.5, np.nan, 0.5], atol=0.02)


def test_a_pixel_is_black_that_absorbs_all_colours():
    tile = np.full((16, 16, 3), 255, np.uint8)
    tile[4:8, 4:12] = 40, 10, 25
    tile[8:12, 4:12] = 41, 10, 25
    measured = measure(tile, instances(square(4, 4, 12, 12), square(4, 4, 12, 8), square(4, 8, 12, 12)))
    np.testing.assert_allclose(measured.measurements[BLACK_PART], [0.5, 1, 0], atol=0.2)


def test_no_instances_get_an_empty_column():
    empty = measure(np.zeros((8, 8, 3), np.uint8), Instances.empty(("Nucleus",)))
    assert empty.measurements[HEMATOXYLIN_OD_MEAN].shape == (0,)


def test_needs_no_torch():
    code = "import sys, pathopipe.models.stain, pathopipe.models.load; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6))
def test_means_are_those_of_the_pixels_that_each_outline_covers_drawn_alone(seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(5, 90, 2)
    tile = rng.integers(0, rng.choice([60, 256]), (height, width, 3), dtype=np.uint8)
    angle = np.arange(12) * np.pi / 6
    rings = [
        rng.uniform(-15, (width + 15, height + 15))
        + rng.uniform(0.3, 30) * np.stack([np.cos(angle), np.sin(angle)], axis=1) * rng.uniform(0.5, 1, (12, 1))
        for _ in range(40)
    ]
    measured = measure(tile, instances(*rings)).measurements
    found = np.stack([measured[name] for name in COLOURS], axis=1)
    density = -np.log10(np.maximum(tile, 1) / 255)
    density = np.dstack([density, density.min(axis=2) > 0.8])
    for ring, means in zip(rings, found, strict=True):
        (x0, y0), (x1, y1) = ring.min(axis=0), ring.max(axis=0)
        if min(x0, y0) > 1 and x1 < width - 1 and y1 < height - 1:
            canvas = np.zeros((height, width), np.uint8)
            cv2.fillPoly(canvas, [np.round((ring.astype(np.float32) - 0.5) * 16).astype(np.int32)], 1, shift=4)
            canvas[:, int(np.ceil(x1)) :], canvas[int(np.ceil(y1)) :] = 0, 0
            np.testing.assert_allclose(means, density[canvas > 0].mean(axis=0), rtol=1e-5)
        elif max(-x1, -y1, x0 - width, y0 - height) >= 0:
            assert np.isnan(means).all()
        else:
            assert (np.isnan(means) | ((means >= 0) & (means <= density.max() + 1e-6))).all()
