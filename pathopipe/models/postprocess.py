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

from pathopipe.geometry import Outlines
from pathopipe.models.card import DecodeSpec

_STEP = 0.5
"""Samples along a ray are half an output pixel apart."""
_PART = 200
"""Rays of so many nuclei of about one size are followed at once. It bounds the memory and fits the cache; and cv2.remap
takes fewer than 2**15 rows: 200 nuclei of at most 128 vertices."""
_BEYOND = 2.5
"""Output pixels beyond its furthest pixel where a region has surely ended: one that it is grown by, and rounding."""
_SHORTEST = 0.3
"""No radius is shorter, in output pixels: a ring must not touch its own centre."""
_MOST_STRETCHED = 4.0
"""Beyond this aspect the vertices are not moved further towards the tips."""
_NEIGHBOURS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
Map = NDArray[np.float32]
Index = NDArray[np.int64]
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
    labels.ravel()[cells] = owner[top_of_cell]
    shapes = _shapes(labels, cells, peaks)
    directions = _directions(shapes.moments, spec.vertices)
    radii = _radii(labels, foreground, shapes, directions, spec.foreground, longest / pixel * 0.75)
    # A polygon inscribed in a smooth curve is smaller than it by this factor of area.
    swell = 1 / np.sqrt(np.sinc(2 / spec.vertices))
    rings = (shapes.centres[:, None] + directions * radii[..., None] * swell + 0.5) * pixel
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
    padded = np.full((height + 2, width + 2), -1, np.float32)
    inner = cells + (cells // width * 2 + width + 3)
    padded.ravel()[inner] = relief.ravel()[cells]
    # On the whole map, since slices are many times as fast as looking cells up.
    best = padded[1:-1, 1:-1].copy()
    turn = np.zeros((height, width), np.uint8)
    # In this fixed order the first of equals wins; a pixel as high as its neighbours stays a top, so nothing circles.
    for index, (down, right) in enumerate(_NEIGHBOURS, start=1):
        value = padded[1 + down : 1 + down + height, 1 + right : 1 + right + width]
        higher = cv2.compare(value, best, cv2.CMP_GT)
        np.maximum(best, value, out=best)
        np.maximum(turn, np.minimum(higher, np.uint8(index)), out=turn)
    shift = np.array([0, *(down * width + right for down, right in _NEIGHBOURS)])
    number = np.empty(relief.size, np.int64)
    number[cells] = np.arange(len(cells))
    climb = number[cells + shift[turn.ravel()[cells]]]
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
    """Return the passes between all basins that touch."""
    width = relief.shape[1]
    # A column and a row more, which belong to no basin: every cell has a right and a lower neighbour.
    basin = np.full((relief.shape[0] + 1) * (width + 1), -1, np.int64)
    place = cells + cells // width
    basin[place] = top_of_cell
    level = np.zeros(len(basin), np.float32)
    level[place] = relief.ravel()[cells]
    keys, heights = [], []
    for step in (1, width + 1):
        other = basin[place + step]
        meet = np.flatnonzero((other >= 0) & (other != top_of_cell))
        one, other = top_of_cell[meet], other[meet]
        height = np.minimum(level[place[meet]], level[place[meet] + step])
        keys += [one * tops + other, other * tops + one]
        heights += [height, height]
    key, height = np.concatenate(keys), np.concatenate(heights)
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


class _Shapes(NamedTuple):
    """Where the labelled regions are and how they extend, in output pixels."""

    centres: NDArray[np.float64]
    """(n, 2) x, y"""
    moments: NDArray[np.float64]
    """(n, 3) second moments xx, yy, xy"""
    extent: NDArray[np.float64]
    """(n,) at least the distance from the centre to the pixel that is furthest from it."""


def _shapes(labels: Map, cells: Index, peaks: Index) -> _Shapes:
    """Return the shapes of the labelled regions, all of whose pixels are among ``cells``."""
    number = labels.ravel()[cells].astype(np.int64) - 1
    at, number = cells[number >= 0], number[number >= 0]
    y, x = np.divmod(at, labels.shape[1])
    count = np.bincount(number, minlength=len(peaks))
    count = np.maximum(count, 1)

    def mean(values: NDArray[np.floating]) -> NDArray[np.float64]:
        return np.bincount(number, values, len(peaks)) / count

    centres = np.stack([mean(x.astype(float)), mean(y.astype(float))], axis=1)
    dx, dy = x - centres[:, 0][number], y - centres[:, 1][number]
    xx, yy = dx * dx, dy * dy
    moments = np.stack([mean(xx), mean(yy), mean(dx * dy)], axis=1)
    furthest = np.zeros(len(peaks))
    np.maximum.at(furthest, number, xx + yy)
    # The centre of a bent region can lie outside of it: then rays start at the peak.
    column, row = np.rint(centres).astype(np.int64).T
    outside = labels[row, column] != np.arange(1, len(peaks) + 1)
    moved = np.where(outside[:, None], np.stack([peaks % labels.shape[1], peaks // labels.shape[1]], axis=1), centres)
    return _Shapes(moved, moments, np.sqrt(furthest) + np.hypot(*(moved - centres).T))


def _directions(moments: NDArray[np.float64], vertices: int) -> NDArray[np.float64]:
    """Return (n, vertices, 2) unit vectors, evenly spaced by the eccentric angle of each region's ellipse.

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
    return np.stack([along * cos - across * sin, along * sin + across * cos], axis=2)


def _radii(
    labels: Map, foreground: Map, shapes: _Shapes, directions: NDArray[np.float64], level: float, furthest: float
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
    radii: NDArray[np.float64] = np.maximum((first - 1 + fraction) * _STEP, _SHORTEST)
    return radii


def _plausible(outlines: Outlines, radii: NDArray[np.float64], longest: float, spec: DecodeSpec) -> Index:
    """Return the indices of outlines of sensible size."""
    extent = outlines.bounds()
    across = np.hypot(extent[:, 2] - extent[:, 0], extent[:, 3] - extent[:, 1]) / np.sqrt(2)
    # Half of the radii longer than the shortest there are.
    open_ = np.count_nonzero(radii > _SHORTEST, axis=1) >= (radii.shape[1] + 1) // 2
    return np.flatnonzero((across <= longest) & (outlines.areas() >= spec.min_area_px) & open_)
