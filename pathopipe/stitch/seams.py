"""What is seen twice at the seams, and what is cut there."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.stitch.spec import StitchSpec
from pathopipe.stitch.view import View

CUT_PX = 0.5
"""An outline this near the read border, in working pixels, is taken as cut by it: half a pixel, since an outline
around whole pixels that was cut lies on the border, and one that was not ends at least a pixel before it."""
HALO_STEP_PX = 16
"""The halo that is asked for is a multiple of this, as strided models want it."""
Numbers = NDArray[np.int64]


class Seams:
    """Which of the instances near seams are seen better by another tile, a row of tiles after the other.

    Cells are gone through from the best seen to the worst; one that is the same nucleus as a better one of another
    tile, which itself stays, goes. So where the best is the same as the second, and the second as the third, but not
    the best as the third, the third stays. Ties: the higher score, then the first tile by row and column, then the
    first by position.

    That is decided for cells that hang together, directly or over others, once none of them can meet a tile that is
    still to come. Cells are numbered in the order of the tiles, then of the views.
    """

    def __init__(self, spec: StitchSpec) -> None:
        self._spec = spec
        self.cells = 0
        """How many were added."""
        self._tiles = 0
        self._near = _Near.of([], 0, 0)
        """Those that a later tile may meet, and those that hang together with them, by number."""
        self._pairs: Numbers = np.zeros((0, 2), np.int64)
        """Of these, what is the same nucleus: numbers, the lower first."""

    def add(self, views: list[View]) -> None:
        """Compare the instances of a further row of tiles (its views by column) among each other and with the last."""
        new = _Near.of(views, self.cells, self._tiles)
        self.cells += sum(len(view) for view in views)
        self._tiles += len(views)
        self._near = _Near.concat(self._near, new)
        self._pairs = np.concatenate([self._pairs, _same(self._near, len(new), self._spec)])

    def settle(self, top: float) -> tuple[Numbers, int]:
        """Decide what can be decided, when no tile to come reads above ``top`` (working pixels).

        Returns
        -------
        gone : (k,) int64
            Numbers of the instances that go, of those decided now.
        final : int
            All with lower numbers are decided.
        """
        near, places = self._near, np.searchsorted(self._near.number, self._pairs)
        pending = near.bottom > top
        spread = np.zeros(0, np.int64)
        while len(waits := np.flatnonzero(pending[places].any(axis=1))) > len(spread):
            pending[places[waits]], spread = True, waits
        decided = ~pending[places].any(axis=1)
        gone = near.number[_suppressed(places[decided], near.rank())]
        self._near, self._pairs = near.take(pending), np.compress(~decided, self._pairs, axis=0)
        return gone, int(self._near.number[0]) if len(self._near) else self.cells


@dataclass(frozen=True)
class _Near:
    """Instances near seams as columns of equal length."""

    number: Numbers
    """Ascending."""
    tile: Numbers
    seen: NDArray[np.float32]
    """Distance from the border of what its tile has read; may be infinite."""
    score: NDArray[np.float32]
    bottom: NDArray[np.float32]
    """Lowest point in working pixels."""
    polygons: NDArray[np.object_]
    """Level-0 pixels."""

    @classmethod
    def of(cls, views: list[View], first: int, first_tile: int) -> _Near:
        """Return those of ``views``, whose instances are numbered from ``first``."""
        none, parts = np.zeros(0, np.float32), []
        for tile, view in enumerate(views, first_tile):
            chosen = np.flatnonzero(view.near_seam())
            seen, bottom = view.to_border[chosen].min(axis=1), view.bounds[chosen, 3]
            polygons = view.instances.outlines.take(chosen).to_shapely()
            parts.append(
                cls(chosen + first, np.full(len(chosen), tile), seen, view.instances.score[chosen], bottom, polygons)
            )
            first += len(view)
        whole = np.zeros(0, np.int64)
        return cls.concat(cls(whole, whole, none, none, none, np.zeros(0, object)), *parts)

    @classmethod
    def concat(cls, *parts: _Near) -> _Near:
        """Return all ``parts`` in order."""
        return cls(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})

    def __len__(self) -> int:
        return len(self.number)

    def take(self, index: NDArray[np.bool_]) -> _Near:
        """Return those chosen."""
        return _Near(**{name: values[index] for name, values in vars(self).items()})

    def rank(self) -> Numbers:
        """Return (n,) places in the order from the best seen (0) to the worst."""
        rank = np.empty(len(self), np.int64)
        rank[np.lexsort((self.number, -self.score, -self.seen))] = np.arange(len(self))
        return rank


def _same(near: _Near, new: int, spec: StitchSpec) -> Numbers:
    """Return (k, 2) numbers of instances of different tiles that are one nucleus, at least one of the ``new`` last."""
    old, polygons = len(near) - new, near.polygons
    second, first = shapely.STRtree(polygons).query(polygons[old:])
    second += old
    pairs = np.stack([first, second], axis=1)[(first < second) & (near.tile[first] != near.tile[second])]
    if not len(pairs):
        return np.zeros((0, 2), np.int64)
    # GEOS cannot intersect invalid polygons, and a model may draw bow-ties.
    used = np.unique(pairs)
    wrong = used[~shapely.is_valid(polygons[used])]
    polygons[wrong] = shapely.make_valid(polygons[wrong])
    one, other = polygons[pairs[:, 0]], polygons[pairs[:, 1]]
    shared = shapely.area(shapely.intersection(one, other))
    areas = shapely.area(one), shapely.area(other)
    same = (shared >= spec.same_iou * (areas[0] + areas[1] - shared)) | (
        shared >= spec.same_within * np.minimum(*areas)
    )
    found: Numbers = near.number[np.compress(same & (shared > 0), pairs, axis=0)]
    return found


def _suppressed(pairs: Numbers, rank: Numbers) -> NDArray[np.bool_]:
    """Return which go when pairs are resolved from the best rank (0) to the worst."""
    gone = np.zeros(len(rank), np.bool_)
    better = np.where(rank[pairs[:, 0]] < rank[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    worse = pairs.sum(axis=1) - better
    # By the better one's rank: when a pair's turn comes, all that could remove its better one has been decided.
    for index in np.argsort(rank[better], kind="stable"):
        if not gone[better[index]]:
            gone[worse[index]] = True
    return gone


def needed_halo(views: list[View], keep: NDArray[np.bool_]) -> int:
    """Return the halo, in working pixels, that shows whole what stays and is cut by the border of its tile's reading.

    0 where nothing is cut. How far a cut instance goes on is unknown; this halo shows it whole if at most half of it
    was cut off.
    """
    cut = np.concatenate([view.to_border for view in views])[keep] <= CUT_PX
    if not cut.any():
        return 0
    bounds = np.concatenate([view.bounds for view in views])[keep]
    halo = views[0].tile.core.x0 - views[0].tile.read.x0
    extent = np.tile(bounds[:, 2:] - bounds[:, :2], 2)[cut].max()
    return math.ceil((halo + float(extent)) / HALO_STEP_PX) * HALO_STEP_PX
