"""Exact resampling of a level's pixels onto the pixels that are asked for.

Every pixel of the result is the mean of the area that it covers, pixels at the edge of that area counting by the part
that is covered. Finer than the level (there is no area to average) it is linear interpolation.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

GRID = 1024
"""Edges of areas are rounded to this part of a level pixel. A pixel then comes out the same, bit for bit, whichever
rectangle it is read in, although its edges were computed with other rounding errors."""

FINEST_AREA = 0.98
"""Result pixels smaller than this part of a level pixel are interpolated instead of averaged."""


BAND_PIXELS = 65536
"""Level pixels that are resampled at a time; more do not fit the cache, which is four times slower (measured)."""


def edges(start: float, stop: float, count: int) -> NDArray[np.float64]:
    """Return the ``count + 1`` edges of equal steps from ``start`` to ``stop``, rounded to 1 / :data:`GRID`."""
    exact = start + (stop - start) * (np.arange(count + 1) / count)
    if (stop - start) / count < FINEST_AREA:
        return exact
    return np.asarray(np.floor(exact * GRID + 0.5) / GRID)


def whole_step(start: float, stop: float, count: int) -> int:
    """Return the step where ``start``, ``stop`` and all edges between lie on whole pixels, else 0."""
    first, last = (math.floor(edge * GRID + 0.5) / GRID for edge in (start, stop))
    step, rest = divmod(last - first, count)
    return int(step) if first.is_integer() and not rest else 0


def means(pixels: NDArray[np.uint8], width: int, height: int) -> NDArray[np.uint8]:
    """Return the means of whole pixels, as many to each of ``width`` × ``height``, rounded."""
    if pixels.shape[:2] == (height, width):
        return np.ascontiguousarray(pixels)
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA))


def span(along: NDArray[np.float64]) -> tuple[int, int]:
    """Return the half-open range of level pixels that :func:`weights` needs for the edges ``along``."""
    margin = 1 if _interpolates(along) else 0
    return math.floor(along[0]) - margin, math.ceil(along[-1]) + margin


def resample(pixels: NDArray[np.uint8], x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Resample ``pixels`` onto the cells between the edges ``x`` and ``y``, a few rows at a time.

    The weights of y are multiplied with, then those of x, in bands that stay in the processor's cache.

    Parameters
    ----------
    pixels : (h, w, 3) uint8
        Must hold the :func:`span` of both edges.
    x, y : (width + 1,) and (height + 1,) float64
        Edges in pixels of ``pixels``, ascending, in equal steps.

    Returns
    -------
    (height, width, 3) uint8
        Rounded half up.
    """
    size, channels = pixels.shape[1], pixels.shape[2]
    width, height = len(x) - 1, len(y) - 1
    across, down = weights(x, size), weights(y, len(pixels))
    step = max(1, int(BAND_PIXELS / size * height / max(y[-1] - y[0], 1)))
    result = np.empty((height, width, channels), np.uint8)
    for top in range(0, height, step):
        bottom = min(top + step, height)
        low, high = span(y[top : bottom + 1])
        low, high = max(low, 0), min(high, len(pixels))
        band = pixels[low:high].reshape(high - low, size * channels).astype(np.float32)
        rows = (down[top:bottom, low:high] @ band).reshape(bottom - top, size, channels)
        columns = across @ cv2.transpose(rows).reshape(size, (bottom - top) * channels)
        columns += 0.5
        result[top:bottom] = cv2.transpose(columns.astype(np.uint8).reshape(width, bottom - top, channels))
    return result


def weights(along: NDArray[np.float64], size: int) -> sparse.csr_array:
    """Return (n, ``size``) float32: what each of ``size`` pixels gives to each of the n cells between the edges.

    Every row sums to 1.
    """
    if _interpolates(along):
        taps, values = _linear(along)
    else:
        taps, values = _area(along)
    taps = np.clip(taps, 0, size - 1)
    count = taps.shape[1]
    starts = np.arange(0, taps.size + 1, count)
    matrix = sparse.csr_array((values.astype(np.float32).ravel(), taps.ravel(), starts), shape=(len(taps), size))
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    return matrix


def _area(along: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    low, high = along[:-1, None], along[1:, None]
    count = math.ceil((high - low).max()) + 1
    taps = np.floor(low).astype(np.intp) + np.arange(count)
    covered = np.clip(np.minimum(taps + 1, high) - np.maximum(taps, low), 0, None)
    return taps, covered / (high - low)


def _linear(along: NDArray[np.float64]) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    centre = (along[:-1, None] + along[1:, None]) / 2 - 0.5
    first = np.floor(centre)
    part = centre - first
    taps = np.concatenate([first, first + 1], axis=1).astype(np.intp)
    return taps, np.concatenate([1 - part, part], axis=1)


def _interpolates(along: NDArray[np.float64]) -> bool:
    return bool((along[-1] - along[0]) / (len(along) - 1) < FINEST_AREA)
