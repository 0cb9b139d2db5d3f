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

    def lengths(self) -> NDArray[np.float64]:
        """Return (n,) the sum of the edges' lengths."""
        return self._summed(np.sqrt((self._next_x - self._x) ** 2 + (self._next_y - self._y) ** 2))


def _relative(values: NDArray[np.float32], start: NDArray[np.int64], counts: NDArray[np.int64]) -> NDArray[np.float64]:
    exact = values.astype(np.float64)
    return exact - np.repeat(exact[start], counts)


def _following(values: NDArray[np.float64], last: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return for every vertex the next one's value; for a ring's last that of its first, which is 0."""
    following = np.empty_like(values)
    following[:-1] = values[1:]
    following[last] = 0
    return following
