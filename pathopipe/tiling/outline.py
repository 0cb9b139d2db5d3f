"""From a mask to smooth polygons in level-0 pixels."""

from __future__ import annotations

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.geometry import Frame
from pathopipe.tiling.strips import strips

_GRID = 0.1  # level-0 px: the precision of all that is written
_BLUR_PX = 3
"""How far the smoothing reaches, in pixels of the mask."""
_AROUND_PX = 4
"""What the mask is looked at with around, in its pixels."""


def outline(mask: NDArray[np.bool_], frame: Frame, width: int, height: int) -> shapely.MultiPolygon:
    """Return the outlines of ``mask``, with holes, valid with coordinates rounded to 0.1 px.

    Parameters
    ----------
    mask : (h, w) bool
        In the pixels of ``frame``.
    frame : Frame
        The frame of the mask.
    width, height : int
        Size of the slide in level-0 pixels; polygons do not reach beyond.
    """
    part = _bounds(mask)
    if part is None:
        return shapely.MultiPolygon()
    # Replicated at the border, so that tissue which reaches it ends there and not a pixel before.
    wide = np.pad(mask[part].view(np.uint8), _AROUND_PX, mode="edge")
    contours, tree = cv2.findContours(_fine(wide), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return shapely.MultiPolygon()
    scale = np.array([frame.scale_x, frame.scale_y]) / 2
    # From the centre of a pixel of the wide picture to the corner of the slide.
    first = np.array([part[1].start, part[0].start]) * 2 - (2 * _AROUND_PX - 0.5)
    rings = [(contour[:, 0].astype(np.float64) + first) * scale for contour in contours]
    shells = [index for index in range(len(rings)) if tree[0][index][3] < 0 and len(rings[index]) >= 3]
    holes: dict[int, list[NDArray[np.float64]]] = {shell: [] for shell in shells}
    for index, ring in enumerate(rings):
        parent = tree[0][index][3]
        if parent in holes and len(ring) >= 3:
            holes[parent].append(ring)
    found = shapely.make_valid(np.array([shapely.Polygon(rings[shell], holes[shell]) for shell in shells]))
    # Contours run through the centres of the outermost pixels, half a fine pixel inside the mask's edge.
    grown = shapely.buffer(found, float(scale.mean()) / 2, quad_segs=1)
    smooth = shapely.simplify(shapely.union_all(grown), float(scale.mean()))
    inside = shapely.intersection(smooth, shapely.box(0, 0, width, height))
    return on_grid(inside)


def _bounds(mask: NDArray[np.bool_]) -> tuple[slice, slice] | None:
    """Return the rows and columns that hold all of ``mask``, with what its smoothed outline reaches; None if empty."""
    around = []
    for axis in (1, 0):
        there = np.flatnonzero(mask.any(axis=axis))
        if not len(there):
            return None
        around.append(slice(max(0, int(there[0]) - _AROUND_PX), int(there[-1]) + 1 + _AROUND_PX))
    return around[0], around[1]


def _fine(mask: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return ``mask`` (h, w) twice as fine and smoothed, 0 or 1: the contour of a staircase becomes a slope."""
    fine = np.empty((2 * mask.shape[0], 2 * mask.shape[1]), np.uint8)
    for strip in strips(mask.shape, _BLUR_PX):
        twice = cv2.resize(mask[strip.read] * np.uint8(255), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
        smooth = cv2.GaussianBlur(twice, (0, 0), 1.5) >= 128
        fine[2 * strip.start : 2 * strip.stop] = smooth[2 * strip.inner.start : 2 * strip.inner.stop]
    return fine


def on_grid(shape: shapely.Geometry) -> shapely.MultiPolygon:
    """Return the polygons of ``shape`` with coordinates rounded to 0.1 px, valid, in a fixed order."""
    snapped = shapely.normalize(shapely.set_precision(shape, _GRID))
    parts = [part for part in shapely.get_parts(snapped) if isinstance(part, shapely.Polygon) and not part.is_empty]
    # What set_precision leaves are multiples of 0.1 up to the last bit; rounding gives the shortest decimals.
    return shapely.transform(shapely.MultiPolygon(parts), lambda xy: np.round(xy, 1))
