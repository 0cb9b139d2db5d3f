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
_PART = 200
"""Rays of so many nuclei of about one size are followed at once. It bounds the memory and fits the cache; and cv2.remap
takes fewer than 2**15 rows: 200 nuclei of at most 128 vertices."""
_BEYOND = 2.5
"""Output pixels beyond its furthest pixel where a region has surely ended: one that it is grown by, and rounding."""
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
    """(n,) at least the distance from the centre to the pixel that is furthest from it."""


def shapes_of(labels: Map, cells: Index, peaks: Index) -> Shapes:
    """Return the shapes of the labelled regions, all of whose pixels are among ``cells``."""
    number = labels.ravel()[cells].astype(np.int64) - 1
    at, number = cells[number >= 0], number[number >= 0]
    y, x = np.divmod(at, labels.shape[1])
    count = np.bincount(number, minlength=len(peaks))
    count = np.maximum(count, 1)

    def mean(values: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.bincount(number, values, len(peaks)) / count

    centres = snapped(np.stack([mean(x.astype(float)), mean(y.astype(float))], axis=1))
    dx, dy = x - centres[:, 0][number], y - centres[:, 1][number]
    xx, yy = dx * dx, dy * dy
    moments = np.stack([mean(xx), mean(yy), mean(dx * dy)], axis=1)
    furthest = np.zeros(len(peaks))
    np.maximum.at(furthest, number, xx + yy)
    # The centre of a bent region can lie outside of it: then rays start at the peak.
    column, row = np.rint(centres).astype(np.int64).T
    outside = labels[row, column] != np.arange(1, len(peaks) + 1)
    moved = np.where(outside[:, None], np.stack([peaks % labels.shape[1], peaks // labels.shape[1]], axis=1), centres)
    return Shapes(moved, moments, np.sqrt(furthest) + np.hypot(*(moved - centres).T))


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
    grown = np.where(labels > 0, labels, cv2.dilate(labels, np.ones((3, 3), np.uint8)))
    radii = np.empty(directions.shape[:2])
    centres, towards = shapes.centres.astype(np.float32), directions.astype(np.float32)
    by_size = np.argsort(shapes.extent, kind="stable")
    for start in range(0, len(by_size), _PART):
        part = by_size[start : start + _PART]
        # Most nuclei are much smaller than the largest: no ray is followed far beyond its region.
        reach = min(furthest, shapes.extent[part[-1]] + _BEYOND)
        along = np.arange(int(reach / _STEP) + 2, dtype=np.float32) * np.float32(_STEP)
        radii[part] = _part_radii(grown, foreground, part + 1, centres[part], towards[part], level, along)
    return radii


def _part_radii(
    labels: Map,
    foreground: Map,
    own: Index,
    centres: Map,
    directions: Map,
    level: float,
    along: Map,
) -> NDArray[np.float64]:
    """Return the radii of some regions, whose labels are ``own``, from samples at distances ``along`` the rays."""
    shape = (*directions.shape[:2], len(along))
    x, y = (
        (directions[:, :, axis, None] * along + centres[:, axis, None, None]).reshape(-1, len(along)) for axis in (0, 1)
    )
    zero = cv2.BORDER_CONSTANT
    label = np.asarray(cv2.remap(labels, x, y, cv2.INTER_NEAREST, borderMode=zero), np.float32).reshape(shape)
    value = np.asarray(cv2.remap(foreground, x, y, cv2.INTER_LINEAR, borderMode=zero), np.float32)
    foreign = label != own.astype(np.float32)[:, None, None]
    outside = foreign | (value <= level).reshape(shape)
    outside[..., 0], outside[..., -1] = False, True
    first = outside.argmax(axis=2)
    at = first + np.arange(0, value.size, len(along)).reshape(first.shape)
    before, after = value.ravel()[at - 1], value.ravel()[at]
    fraction = np.clip((before - level) / np.maximum(before - after, 1e-6), 0, 1)
    fraction = np.where(foreign.ravel()[at] & (after > level), 0.5, fraction)
    radii: NDArray[np.float64] = np.maximum((first - 1 + fraction) * _STEP, SHORTEST)
    return radii
