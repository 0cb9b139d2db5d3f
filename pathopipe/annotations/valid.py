"""Outlines as they are written: on the grid of the files' decimals, and valid there.

One decimal is written. QuPath refuses a whole file for one invalid polygon, and rounding can make a thin valid one
invalid, so validity is tested after rounding, on whole tenths of a pixel. Those are exact in floating point: a polygon
that is valid there is so after any shift and after QuPath's own rounding, and none depends on the last bit of 0.1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.geometry import Outlines

PER_PX = 10
"""Steps of the grid in a pixel."""


@dataclass(frozen=True)
class Written:
    """Outlines that can be written."""

    outlines: Outlines
    """Level-0 pixels, on tenths of a pixel (as near as float32 has them; see :func:`tenths`)."""
    index: NDArray[np.int64]
    """(n,) which outline each was, ascending."""
    repaired: int
    """How many of them were invalid and had to be changed."""
    dropped: int
    """How many had no area left, or coordinates that are not finite; they are not in ``outlines``."""


def tenths(coords: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return level-0 pixels as whole tenths of a pixel. Exact for what is on the grid, up to a million pixels."""
    return np.rint(np.asarray(coords, np.float64) * PER_PX) + 0.0  # + 0.0: no negative zeros in the files


def on_grid(outlines: Outlines) -> Written:
    """Round outlines to the grid, and repair or drop those that are invalid there.

    A repaired outline is the largest piece of what ``make_valid`` makes of it, without its holes. Vertices that
    coincide with the one before are left out.
    """
    rounded, index = _rounded(outlines)
    good, mended = _star_shaped(rounded), {}
    doubtful = np.flatnonzero(~good)
    for place, polygon in zip(doubtful.tolist(), rounded.take(doubtful).to_shapely(), strict=True):
        if polygon.is_valid and polygon.area > 0:
            good[place] = True
        elif len(ring := _mended(polygon)):
            mended[place] = ring
    if not good.all():
        places = np.concatenate([np.flatnonzero(good), np.array(list(mended), np.int64)])
        order = np.argsort(places)
        rounded = Outlines.concat([rounded.take(good), Outlines.of(mended.values())]).take(order)
        index = index[places[order]]
    return Written(
        rounded.with_coords(rounded.coords.astype(np.float64) / PER_PX),
        index,
        repaired=len(mended),
        dropped=len(outlines) - len(index),
    )


def _rounded(outlines: Outlines) -> tuple[Outlines, NDArray[np.int64]]:
    """Return the outlines in whole tenths, exact in float32, without those that have no three vertices left.

    The second array tells which outline each was.
    """
    counts = np.diff(outlines.offsets)
    ring = np.repeat(np.arange(len(outlines)), counts)
    finite = np.isfinite(outlines.coords[:, 0]) & np.isfinite(outlines.coords[:, 1])
    usable = np.ones(len(outlines), np.bool_)
    usable[ring[~finite]] = False
    x, y = tenths(np.where(finite, outlines.coords.T, 0))
    moved = np.ones(len(ring), np.bool_)
    moved[1:] = (x[1:] != x[:-1]) | (y[1:] != y[:-1])
    first, last = outlines.offsets[:-1], outlines.offsets[1:] - 1
    moved[first] = (x[first] != x[last]) | (y[first] != y[last])
    if not moved.all():
        counts = np.bincount(ring[moved], minlength=len(outlines))
        usable &= counts >= 3
    kept = moved if usable.all() else moved & usable[ring]
    index = np.flatnonzero(usable)
    offsets = np.zeros(len(index) + 1, np.int64)
    np.cumsum(counts[index], out=offsets[1:])
    return Outlines(np.stack([x[kept], y[kept]], axis=1).astype(np.float32), offsets), index


def _star_shaped(outlines: Outlines) -> NDArray[np.bool_]:
    """Return which of the outlines, in whole numbers, are seen whole from their middle, and so are valid for sure.

    Most nuclei are, and this is found out ten times as fast as that an outline does not cross itself.
    """
    found = np.zeros(len(outlines), np.bool_)
    for part, edges in outlines.edges():
        found[part] = edges.star_shaped(np.rint(edges.mean))
    return found


def _mended(polygon: shapely.Polygon) -> NDArray[np.float64]:
    """Return the open ring of the largest valid piece of ``polygon`` on whole numbers; empty if none has an area."""
    pieces = shapely.get_parts(shapely.set_precision(shapely.make_valid(polygon), 1))
    pieces = pieces[shapely.get_type_id(pieces) == shapely.GeometryType.POLYGON]
    if not len(pieces):
        return np.zeros((0, 2))
    largest = shapely.normalize(pieces[np.argmax(shapely.area(pieces))])
    ring = np.rint(shapely.get_coordinates(largest.exterior))[:-1]
    whole = shapely.Polygon(ring)
    return ring if whole.is_valid and whole.area > 0 else np.zeros((0, 2))
