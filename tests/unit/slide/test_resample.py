from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.slide.resample import FINEST_AREA, GRID, edges, means, resample, span, weights, whole_step
from tests.support.drawn_slides import noise


def by_area(pixels, x, y):
    """The oracle: areas from cumulative sums in float64, all at once."""

    def along(values, cuts):
        total = np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0)])
        low = np.floor(cuts).astype(int)
        part = (cuts - low).reshape(-1, *[1] * (values.ndim - 1))
        at = total[low] * (1 - part) + total[np.minimum(low + 1, len(values))] * part
        return np.diff(at, axis=0) / np.diff(cuts).reshape(part[1:].shape)

    rows = along(pixels.astype(np.float64), y)
    return along(rows.transpose(1, 0, 2), x).transpose(1, 0, 2)


@settings(deadline=None, max_examples=60)
@given(
    step=st.floats(1.0, 9.0),
    start=st.floats(0.0, 3.0),
    columns=st.integers(1, 30),
    rows=st.integers(1, 30),
    seed=st.integers(0, 99),
)
def test_every_pixel_is_the_mean_of_its_area(step, start, columns, rows, seed):
    pixels = noise(280, 280, seed)
    x, y = edges(start, start + columns * step, columns), edges(start / 2, start / 2 + rows * step, rows)
    result = resample(pixels, x, y)
    assert result.shape == (rows, columns, 3)
    assert np.abs(result - by_area(pixels, x, y)).max() <= 0.51


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 7])
def test_means_of_whole_pixels_agree_with_areas(factor):
    pixels = noise(84, 84)
    along = edges(0, 84, 84 // factor)
    expected = pixels.reshape(84 // factor, factor, 84 // factor, factor, 3).mean(axis=(1, 3))
    assert np.abs(means(pixels, 84 // factor, 84 // factor) - expected).max() <= 0.5
    assert np.abs(resample(pixels, along, along) - expected).max() <= 0.51


@settings(deadline=None, max_examples=200)
@given(
    start=st.one_of(st.integers(-9, 99_999), st.floats(-9, 99_999)),
    count=st.integers(1, 600),
    step=st.one_of(st.integers(1, 9), st.floats(0.1, 9)),
    noise=st.floats(-1e-7, 1e-7),
)
def test_a_whole_step_is_one_of_edges_on_whole_pixels(start, count, step, noise):
    start, stop = start + noise, start + step * count - noise
    along = edges(start, stop, count)
    regular = np.array_equal(along, along[0] + round(along[1] - along[0]) * np.arange(count + 1))
    is_whole = regular and float(along[0]).is_integer() and (stop - start) / count >= FINEST_AREA
    assert whole_step(start, stop, count) == (round(along[1] - along[0]) if is_whole else 0)


@settings(deadline=None, max_examples=40)
@given(step=st.floats(1.0, 5.0), skipped=st.integers(0, 15))
def test_a_pixel_does_not_depend_on_the_rectangle_it_is_read_in(step, skipped):
    pixels = noise(120, 120)
    whole = edges(0.0, 20 * step, 20)
    part = edges(skipped * step, 20 * step, 20 - skipped)
    assert np.array_equal(resample(pixels, whole, whole)[skipped:, skipped:], resample(pixels, part, part))


def test_bands_join_without_a_seam():
    pixels = noise(700, 700)
    along = edges(0.25, 0.25 + 400 * 1.7, 400)
    assert np.abs(resample(pixels, along, along) - by_area(pixels, along, along)).max() <= 0.51


def test_finer_than_the_level_is_interpolated_in_place():
    ramp = np.repeat(np.arange(0, 200, 10, dtype=np.uint8)[None, :, None], 20, axis=0).repeat(3, axis=2)
    along = edges(4.0, 8.0, 16)
    low, high = span(along)
    result = resample(ramp[low:high, low:high], along - low, along - low)
    centres = 4 + (np.arange(16) + 0.5) / 4
    assert np.abs(result[8, :, 0] - (centres - 0.5) * 10).max() <= 0.51


@settings(deadline=None, max_examples=40)
@given(start=st.floats(0, 5), step=st.floats(0.1, 6), count=st.integers(1, 12))
def test_weights_of_every_cell_sum_to_one(start, step, count):
    along = edges(start, start + step * count, count)
    matrix = weights(along, 90)
    assert np.allclose(matrix.sum(axis=1), 1, atol=1e-5)


def test_edges_are_on_the_grid():
    along = edges(0.1, 1234.567, 371)
    assert np.array_equal(along * GRID, np.round(along * GRID))
