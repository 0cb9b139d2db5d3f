"""What is measured on the edges of rings: areas, centroids, moments, lengths.

By Green's theorem (Steger 1996, "On the calculation of arbitrary moments of polygons").
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


class Edges:
    """The edges of some rings, from every vertex (x, y) to the next, relative to the ring's first vertex.

    Relative, because far from the origin the sums of :meth:`second_moments` and the like would cancel.

    Parameters
    ----------
    coords : (vertices, 2) float32
        x, y of all rings one after the other, open.
    offsets : (n + 1,) int64
        Where each ring begins, counted from the first's beginning or from any other.
    """

    def __init__(self, coords: NDArray[np.float32], offsets: NDArray[np.int64]) -> None:
        self._start = offsets[:-1] - offsets[0]
        counts, last = np.diff(offsets), offsets[1:] - offsets[0] - 1
        self._x, self._y = (_relative(coords[:, axis], self._start, counts) for axis in (0, 1))
        self._next_x, self._next_y = (_following(values, last) for values in (self._x, self._y))
        self._cross = self._x * self._next_y - self._next_x * self._y
        self.area = self._summed(self._cross) / 2
        """(n,) signed."""
        self._safe = np.where(self.area == 0, 1, self.area)
        mean = [self._summed((a + b) * self._cross) for a, b in ((self._x, self._next_x), (self._y, self._next_y))]
        self.mean = np.stack(mean, axis=1) / (6 * self._safe[:, None])
        """(n, 2) the centroid."""

    def _summed(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.add.reduceat(values, self._start))

    def second_moments(self) -> NDArray[np.float64]:
        """Return (n, 3) the central second moments xx, yy, xy."""
        x, y, next_x, next_y = self._x, self._y, self._next_x, self._next_y
        xx = self._summed((x * x + x * next_x + next_x * next_x) * self._cross) / (12 * self._safe)
        yy = self._summed((y * y + y * next_y + next_y * next_y) * self._cross) / (12 * self._safe)
        mixed = 2 * x * y + 2 * next_x * next_y + (x * next_y + next_x * y)
        xy = self._summed(mixed * self._cross) / (24 * self._safe)
        mean_x, mean_y = self.mean.T
        return np.stack([xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y], axis=1)

    def star_shaped(self, middle: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return (n,) whether all of a ring is seen from its ``middle`` (n, 2), without touching itself.

        Such a ring is a simple polygon. Others may be too. Exact where vertices and ``middle`` are whole numbers; the
        latter is relative to the ring's first vertex.
        """
        counts = np.diff(self._start, append=len(self._x))
        x, y = (np.repeat(values, counts) for values in middle.T)
        x, y, next_x, next_y = self._x - x, self._y - y, self._next_x - x, self._next_y - y
        turn = x * next_y - next_x * y
        one_way = (np.minimum.reduceat(turn, self._start) > 0) | (np.maximum.reduceat(turn, self._start) < 0)
        # An edge spans less than half a turn, so whoever goes round once comes up past the middle once.
        rounds = np.add.reduceat((y < 0) & (next_y >= 0), self._start, dtype=np.int64)
        return np.asarray(one_way & (rounds == 1))

    def hull_areas(self) -> NDArray[np.float64]:
        """Return (n,) the area of the convex hull of each ring; NaN for those that are not star-shaped.

        Of a simple polygon no reflex vertex is on the hull, so these are left out until there are none. A ring that is
        seen whole from its middle stays so, since the vertices of the hull stay.
        """
        areas = np.full(len(self._start), np.nan)
        ring = np.flatnonzero(self.star_shaped(self.mean))
        left = np.isin(self._number(), ring)
        sign = np.repeat(np.sign(self.area[ring]), np.diff(self._start, append=len(self._x))[ring])
        x, y = self._x[left], self._y[left] * sign  # turned over where need be, so that all go round the same way
        number = self._number()[left]
        while len(number):
            ends = np.flatnonzero(np.diff(number, append=-1))
            starts = np.concatenate([[0], ends[:-1] + 1])
            next_x, next_y = _rolled(x, starts, ends), _rolled(y, starts, ends)
            edge_x, edge_y = next_x - x, next_y - y
            before_x, before_y = _rolled_back(edge_x, starts, ends), _rolled_back(edge_y, starts, ends)
            stays = before_x * edge_y - edge_x * before_y > 0
            done = np.logical_and.reduceat(stays, starts)
            areas[number[starts[done]]] = np.add.reduceat(x * next_y - next_x * y, starts)[done] / 2
            stays &= ~np.repeat(done, ends - starts + 1)
            x, y, number = x[stays], y[stays], number[stays]
        return areas

    def _number(self) -> NDArray[np.int64]:
        """Return (vertices,) which ring each is of."""
        return np.repeat(np.arange(len(self._start)), np.diff(self._start, append=len(self._x)))

    def lengths(self) -> NDArray[np.float64]:
        """Return (n,) the sum of the edges' lengths."""
        return self._summed(np.sqrt((self._next_x - self._x) ** 2 + (self._next_y - self._y) ** 2))


def closing(offsets: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return which vertices make rings whose first is repeated at their end, for rings that begin at ``offsets``."""
    counts = np.diff(offsets) + 1
    ends = np.cumsum(counts)
    index = np.arange(ends[-1] if len(ends) else 0) - np.repeat(np.arange(len(counts)), counts)
    index[ends - 1] = offsets[:-1]
    return index


def _rolled(values: NDArray[np.float64], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for every vertex the next one's value; ``ends`` are the rings' last vertices."""
    rolled = np.empty_like(values)
    rolled[:-1] = values[1:]
    rolled[ends] = values[starts]
    return rolled


def _rolled_back(
    values: NDArray[np.float64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.float64]:
    rolled = np.empty_like(values)
    rolled[1:] = values[:-1]
    rolled[starts] = values[ends]
    return rolled


def _relative(values: NDArray[np.float32], start: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    exact = values.astype(np.float64)
    return exact - np.repeat(exact[start], counts)


def _following(values: NDArray[np.float64], last: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for every vertex the next one's value; for a ring's last that of its first, which is 0."""
    following = np.empty_like(values)
    following[:-1] = values[1:]
    following[last] = 0
    return following
