"""From the network's maps to outlines: peaks, their basins, and rays to where the foreground ends.

As in StarDist (Schmidt et al. 2018) a nucleus is a peak of the probability that no stronger star polygon contains.
Its region is the peak's basin: every foreground pixel climbs to its highest neighbour until it is on top (a watershed
by steepest ascent). The outline is where rays from the region's centre leave the foreground, found between pixels by
linear interpolation, so it is always a simple polygon and not bound to the pixel grid. All steps work on whole arrays,
and none looks further than the largest nucleus.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pathopipe.geometry import Outlines, snapped
from pathopipe.models.card import DecodeSpec
from pathopipe.models.rays import SHORTEST, Index, Map, directions_of, radii_of, shapes_of

_NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
_BLOCK = 1 << 16
"""Pixels that climb at a time: what is computed of them stays in the CPU's cache."""
Distances = Callable[[Index], Map]
"""Flat positions of output pixels to (n, rays) radial distances there, in output pixels."""


class Decoded(NamedTuple):
    """The nuclei of a tile."""

    outlines: Outlines
    score: NDArray[np.float32]
    """(n,) the smoothed probability at the peak."""
    regions: Map
    """(h, w) which region every output pixel belongs to, from 1; 0 for the background."""
    region: Index
    """(n,) the region of each nucleus."""


def decode(
    probability: Map, foreground: Map, distances: Distances, spec: DecodeSpec, pixel: float, longest: float
) -> Decoded:
    """Return the nuclei in one tile, ordered by row, then column of the centroid.

    Parameters
    ----------
    probability, foreground : (h, w) float32
        0 to 1.
    distances : callable
        Asked once, for the radial distances at the peaks.
    spec : DecodeSpec
        Thresholds and the number of vertices.
    pixel : float
        Working pixels per output pixel; the outlines are in working pixels, continuous.
    longest : float
        Largest diameter of a nucleus in working pixels; larger ones are dropped.

    Returns
    -------
    Decoded
    """
    relief = np.asarray(cv2.GaussianBlur(probability, (3, 3), 0.7), np.float32)
    cells = np.flatnonzero((foreground > spec.foreground) | (relief > spec.threshold))
    tops, top_of_cell = _basins(relief, cells)
    passes = _passes(relief, cells, top_of_cell, len(tops))
    owner, peaks = _owners(relief, distances, tops, passes, spec)
    labels = np.zeros(relief.shape, np.float32)
    if not len(peaks):
        return Decoded(Outlines.empty(), np.zeros(0, np.float32), labels, np.zeros(0, np.int64))
    owner = owner[top_of_cell]
    labels.ravel()[cells] = owner.astype(np.float32)
    shapes = shapes_of(labels, cells, owner, peaks)
    directions = directions_of(shapes.moments, spec.vertices)
    radii = radii_of(labels, foreground, shapes, directions, spec.foreground, longest / pixel * 0.75)
    # A polygon inscribed in a smooth curve is smaller than it by this factor of area.
    swell = 1 / np.sqrt(np.sinc(2 / spec.vertices))
    rings = snapped((shapes.centres[:, None] + directions * radii[..., None] * swell + 0.5) * pixel)
    outlines = Outlines(
        rings.reshape(-1, 2).astype(np.float32), np.arange(len(rings) + 1, dtype=np.int64) * spec.vertices
    )
    kept = _plausible(outlines, radii, longest, spec)
    centroids = np.round(outlines.centroids()[kept], 3)
    kept = kept[np.lexsort((centroids[:, 0], centroids[:, 1]))]
    return Decoded(outlines.take(kept), relief.flat[peaks[kept]].astype(np.float32), labels, kept + 1)


def _basins(relief: Map, cells: Index) -> tuple[Index, Index]:
    """Return the flat positions of the tops, and for each of ``cells`` the number of the top that it climbs to."""
    height, width = relief.shape
    # In one row, with a column between the rows that is lower than all: what lies around a pixel is at fixed distances.
    wide = width + 1
    steps = [down * wide + right for down, right in _NEIGHBOURS]
    place = cells + (cells // width + wide + 1)
    padded = np.full((height + 2) * wide + 1, -1, np.float32)
    padded[place] = relief.ravel()[cells]
    turn = np.zeros(len(padded), np.uint8)
    # Slices are many times as fast as looking cells up, so all pixels climb, in blocks that the CPU's cache holds.
    starts = np.arange(wide + 1, len(padded) - wide - 1, _BLOCK)
    for start in starts[np.diff(np.searchsorted(place, starts), append=len(place)) > 0].tolist():
        end = min(start + _BLOCK, len(padded) - wide - 1)
        best, turned = padded[start:end].copy(), turn[start:end]
        # In this fixed order the first of equals wins; who is as high as its neighbours stays a top: nothing circles.
        for index, step in enumerate(steps, start=1):
            value = padded[start + step : end + step]
            higher = (value > best).view(np.uint8)
            np.maximum(best, value, out=best)
            higher *= np.uint8(index)
            np.maximum(turned, higher, out=turned)
    number = np.empty(len(padded), np.int32)
    number[place] = np.arange(len(cells), dtype=np.int32)
    climb = number[place + np.array([0, *steps])[turn[place]]].astype(np.int64)
    while True:  # each round doubles the length of the path that is known
        further = climb[climb]
        if np.array_equal(further, climb):
            break
        climb = further
    is_top = climb == np.arange(len(cells))
    return cells[is_top], (np.cumsum(is_top) - 1)[climb]


class _Passes(NamedTuple):
    """Where neighbouring basins meet: the highest way from one top to the other."""

    key: Index
    """(m,) first top × number of tops + second top, sorted; every pair both ways round."""
    height: Map
    """(m,) the relief on the pass."""

    def between(self, first: Index, second: Index, tops: int) -> Map:
        """Return the height of the pass between tops, -1 where their basins do not touch."""
        if not len(self.key):
            return np.full(len(first), -1, np.float32)
        key = first * tops + second
        at = np.minimum(np.searchsorted(self.key, key), len(self.key) - 1)
        return np.where(self.key[at] == key, self.height[at], np.float32(-1))


def _passes(relief: Map, cells: Index, top_of_cell: Index, tops: int) -> _Passes:
    """Return the passes between all basins that touch, side by side or one below the other."""
    width = relief.shape[1]
    level = relief.ravel()[cells]
    number = np.full(relief.size + width, -1, np.int32)
    number[cells] = np.arange(len(cells), dtype=np.int32)
    right = np.flatnonzero((np.diff(cells) == 1) & (np.diff(top_of_cell) != 0))
    right = right[cells[right + 1] % width != 0]
    below = number[cells + width].astype(np.int64)
    lower = np.flatnonzero((below >= 0) & (top_of_cell[below] != top_of_cell))
    one, other = np.concatenate([[right, right + 1], [lower, below[lower]]], axis=1)
    height = np.tile(np.minimum(level[one], level[other]), 2)
    one, other = top_of_cell[one], top_of_cell[other]
    key = np.concatenate([one * tops + other, other * tops + one])
    order = np.lexsort((height, key))
    key, height = key[order], height[order]
    last = np.append(key[1:] != key[:-1], True) if len(key) else np.zeros(0, bool)
    return _Passes(key[last], height[last])


def _owners(relief: Map, distances: Distances, tops: Index, passes: _Passes, spec: DecodeSpec) -> tuple[Index, Index]:
    """Return (tops,) which nucleus each top belongs to (from 1; 0 for none), and (n,) the nuclei's flat positions."""
    width = relief.shape[1]
    points = np.stack([tops % width, tops // width], axis=1).astype(np.float64)
    height = relief.flat[tops]
    owner = np.zeros(len(tops), np.int64)
    # Strongest first; equals in reading order, so that the result does not depend on the tile.
    strong = np.flatnonzero(height >= spec.threshold)
    strong = strong[np.lexsort((tops[strong], -height[strong]))]
    if not len(strong):
        return owner, tops[:0]
    rays = np.maximum(distances(tops[strong]), 1.0)
    pairs, ratio = _ratios(points, points[strong], rays)
    weaker = np.minimum(height[strong[pairs[:, 0]]], height[pairs[:, 1]])
    rise = weaker - passes.between(strong[pairs[:, 0]], pairs[:, 1], len(tops))
    same = (ratio < spec.overlap) | ((ratio < 1) & (rise < spec.prominence))
    kept = _suppressed(strong, pairs, same)
    # Every other top, high or low, goes with the kept peak whose polygon it is deepest in.
    members = kept[pairs[:, 0]] & (ratio < 1)
    pairs, ratio = pairs[members], ratio[members]
    order = np.lexsort((pairs[:, 0], -ratio))
    numbers = np.zeros(len(strong), np.int64)
    in_reading_order = np.flatnonzero(kept)[np.argsort(tops[strong[kept]])]
    numbers[in_reading_order] = np.arange(1, len(in_reading_order) + 1)
    owner[pairs[order, 1]] = numbers[pairs[order, 0]]
    owner[strong[kept]] = numbers[kept]
    return owner, tops[strong[in_reading_order]]


def _ratios(points: NDArray[np.float64], strong: NDArray[np.float64], rays: Map) -> tuple[Index, NDArray[np.float64]]:
    """Return (m, 2) pairs of strong peak and top, and how far out in the peak's polygon the top lies (1: its edge)."""
    found = cKDTree(points).query_ball_point(strong, rays.max(axis=1), return_sorted=True)
    first = np.repeat(np.arange(len(strong)), [len(near) for near in found])
    second = np.fromiter(chain.from_iterable(found), np.int64, len(first))
    offset = points[second] - strong[first]
    turn = np.arctan2(offset[:, 1], offset[:, 0]) / (2 * np.pi) * rays.shape[1]
    edge = rays[first, np.rint(turn).astype(np.int64) % rays.shape[1]]
    return np.stack([first, second], axis=1), np.hypot(*offset.T) / edge


def _suppressed(strong: Index, pairs: Index, same: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return (strong,) which peaks stay: those that are not the ``same`` nucleus as a stronger one that stays."""
    rank = np.full(int(pairs.max()) + 1, -1, np.int64)
    rank[strong] = np.arange(len(strong))
    close = same & (rank[pairs[:, 1]] > pairs[:, 0])
    weaker = rank[pairs[close, 1]]
    stronger = pairs[close, 0]
    kept = np.ones(len(strong), bool)
    for index in np.argsort(stronger, kind="stable"):
        if kept[stronger[index]]:
            kept[weaker[index]] = False
    return kept


def _plausible(outlines: Outlines, radii: NDArray[np.float64], longest: float, spec: DecodeSpec) -> Index:
    """Return the indices of outlines of sensible size."""
    extent = outlines.bounds()
    across = np.hypot(extent[:, 2] - extent[:, 0], extent[:, 3] - extent[:, 1]) / np.sqrt(2)
    # Half of the radii longer than the shortest there are.
    open_ = np.count_nonzero(radii > SHORTEST, axis=1) >= (radii.shape[1] + 1) // 2
    return np.flatnonzero((across <= longest) & (outlines.areas() >= spec.min_area_px) & open_)
