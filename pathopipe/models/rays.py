"""Outlines of regions: rays from a region's centre to where it ends, or the foreground does, between pixels.

All in output pixels of the network, (x, y).
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.geometry import snapped

_STEP = 0.5
"""Samples along a ray are half an output pixel apart."""
_PART = 1 << 13
"""So many rays are followed at once. It bounds the memory and fits the cache; cv2.remap takes at most 2**15 - 1."""
SHORTEST = 0.3
"""No radius is shorter, in output pixels: a ring must not touch its own centre."""
_MOST_STRETCHED = 4.0
"""Beyond this aspect the vertices are not moved further towards the tips."""
Map = NDArray[np.float32]
Index = NDArray[np.int64]


class Shapes(NamedTuple):
    """Where the labelled regions are and how they extend, in output pixels."""

    centres: NDArray[np.float64]
    """(n, 2) x, y"""
    moments: NDArray[np.float64]
    """(n, 3) second moments xx, yy, xy"""
    extent: NDArray[np.float64]
    """(n,) about the distance from the centre to the pixel that is furthest from it: that of an ellipse."""


def shapes_of(labels: Map, cells: Index, owner: Index, peaks: Index) -> Shapes:
    """Return the shapes of the labelled regions, all of whose pixels are among ``cells``, labelled ``owner``."""
    owned = owner > 0
    number = owner[owned] - 1
    at = cells[owned].astype(np.int32)  # dividing these takes a tenth of the time
    y = at // np.int32(labels.shape[1])
    x = at - y * np.int32(labels.shape[1])
    count = np.bincount(number, minlength=len(peaks))
    count = np.maximum(count, 1)

    def mean(values: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.bincount(number, values, len(peaks)) / count

    centres = snapped(np.stack([mean(x.astype(float)), mean(y.astype(float))], axis=1))
    dx, dy = x - centres[:, 0][number], y - centres[:, 1][number]
    xx, yy, xy = mean(dx * dx), mean(dy * dy), mean(dx * dy)
    moments = np.stack([xx, yy, xy], axis=1)
    furthest = 2 * np.sqrt((xx + yy) / 2 + np.hypot((xx - yy) / 2, xy))
    # The centre of a bent region can lie outside of it: then rays start at the peak.
    column, row = np.rint(centres).astype(np.int64).T
    outside = labels[row, column] != np.arange(1, len(peaks) + 1)
    moved = np.where(outside[:, None], np.stack([peaks % labels.shape[1], peaks // labels.shape[1]], axis=1), centres)
    return Shapes(moved, moments, furthest + np.hypot(*(moved - centres).T))


def directions_of(moments: NDArray[np.float64], vertices: int) -> NDArray[np.float64]:
    """Return (n, vertices, 2) unit vectors, to 1/1024, evenly spaced by the eccentric angle of each region's ellipse.

    So an elongated nucleus gets its vertices where the outline bends most.
    """
    xx, yy, xy = moments.T + np.array([[0.1], [0.1], [0.0]])
    tilt = np.arctan2(2 * xy, xx - yy) / 2
    middle, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    aspect = np.sqrt(np.minimum((middle + spread) / np.maximum(middle - spread, 1e-6), _MOST_STRETCHED**2))
    angle = np.arange(vertices) * (2 * np.pi / vertices)
    along, across = np.cos(angle) * aspect[:, None], np.broadcast_to(np.sin(angle), (len(aspect), vertices))
    length = np.hypot(along, across)
    along, across = along / length, across / length
    cos, sin = np.cos(tilt)[:, None], np.sin(tilt)[:, None]
    return snapped(np.stack([along * cos - across * sin, along * sin + across * cos], axis=2))


def radii_of(
    labels: Map, foreground: Map, shapes: Shapes, directions: NDArray[np.float64], level: float, furthest: float
) -> NDArray[np.float64]:
    """Return (n, vertices) how far rays stay in their own region, in output pixels, to a fraction of a pixel."""
    # One pixel more, into the background: there the interpolated foreground says where the region ends.
    grown = np.asarray(cv2.dilate(labels, np.ones((3, 3), np.uint8)), np.float32)
    cv2.copyTo(labels, (labels > 0).view(np.uint8), grown)
    count, vertices = directions.shape[:2]
    centres, towards = (values.reshape(-1, 2).astype(np.float32) for values in (shapes.centres, directions))
    most = int(furthest / _STEP) + 1
    begin, end = 0, min(int(shapes.extent.mean() / _STEP) + 2, most)
    lengths = np.full(count * vertices, np.nan)
    left = np.arange(len(lengths))
    while len(left):  # most rays end within the first samples, and those that do not go on together
        # Rays of neighbours are neighbours: what is looked up for a part lies close together in memory.
        for part in np.split(left, range(_PART, len(left), _PART)):
            number = part // vertices
            lengths[part] = _lengths(
                grown, foreground, number + 1, centres[number], towards[part], level, range(begin, end + 1), end == most
            )
        left = left[np.isnan(lengths[left])]
        begin, end = end, min(2 * end, most)
    return lengths.reshape(count, vertices)


def _lengths(
    labels: Map,
    foreground: Map,
    own: Index,
    centres: Map,
    towards: Map,
    level: float,
    samples: range,
    all_end: bool,
) -> NDArray[np.float64]:
    """Return (n,) how long rays are that end at one of ``samples``, NaN for others; at the first they are inside.

    Parameters
    ----------
    labels, foreground : (h, w) float32
    own : (n,) int64
        The label of each ray's region.
    centres, towards : (n, 2) float32
        Where each ray starts, and the unit vector that it follows.
    level : float
        Of the foreground, where a region ends.
    samples : range
        Which multiples of ``_STEP`` are looked at.
    all_end : bool
        Whether the last sample is outside whatever is there.
    """
    along = np.array(samples, np.float32)[:, None] * np.float32(_STEP)
    # A row has one sample of each ray: cv2.remap takes long rows, and few of them, in its stride.
    x, y = (along * np.ascontiguousarray(towards[:, axis]) for axis in (0, 1))
    x += centres[:, 0]
    y += centres[:, 1]
    zero = cv2.BORDER_CONSTANT
    label = np.asarray(cv2.remap(labels, x, y, cv2.INTER_NEAREST, borderMode=zero), np.float32)
    value = np.asarray(cv2.remap(foreground, x, y, cv2.INTER_LINEAR, borderMode=zero), np.float32)
    foreign = label != own.astype(np.float32)
    outside = value <= level
    outside |= foreign
    outside[0] = False
    outside[-1] |= all_end
    first = outside.argmax(axis=0)
    at = first * len(own) + np.arange(len(own))
    before, after = value.ravel()[at - len(own)], value.ravel()[at]
    fraction = np.clip((before - level) / np.maximum(before - after, 1e-6), 0, 1)
    fraction = np.where(foreign.ravel()[at] & (after > level), 0.5, fraction)
    lengths = np.maximum((samples[0] + first - 1 + fraction) * _STEP, SHORTEST)
    return np.where(first > 0, lengths, np.nan)
