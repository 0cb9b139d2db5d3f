"""Randomness that depends on where, not on when: hashed lattices and the smooth fields between their points.

A value at lattice point (i, j) is a hash of (seed, name, i, j). So any part of a slide can be drawn alone, and
parts agree where they meet. Positions are in µm from the slide's top left corner.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Axis = NDArray[np.float64]
Ints = NDArray[np.int64]

NOISE_LIMIT = 3.6
"""``Lattice.noise`` stays within plus and minus this; its standard deviation is then about 1."""
_MASK = (1 << 64) - 1


def _mixed(bits: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return splitmix64's finalizer (Steele, Lea and Flood 2014): every input bit moves every output bit."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


@dataclass(frozen=True)
class Lattice:
    """An endless plane of random values."""

    seed: int
    name: str
    """Lattices of different names are independent."""

    @cached_property
    def _key(self) -> np.uint64:
        key = (self.seed * 0x9E3779B97F4A7C15 + zlib.crc32(self.name.encode()) * 0xD1B54A32D192ED03) & _MASK
        return np.uint64(key)

    def uniform(self, i: Ints, j: Ints) -> Floats:
        """Return values in [0, 1) at the points ``i``, ``j``, arrays that broadcast."""
        columns = _mixed(np.atleast_1d(i).astype(np.uint64) * np.uint64(0xA0761D6478BD642F) + self._key)
        bits = _mixed(columns ^ (np.atleast_1d(j).astype(np.uint64) * np.uint64(0xE7037ED1A0B428DB)))
        return ((bits >> np.uint64(40)).astype(np.float32)) * np.float32(2.0**-24)

    def noise(self, x: Axis, y: Axis, pitch: float) -> Floats:
        """Return smooth noise, mean 0 and standard deviation about 1, on the grid of ``x`` by ``y``.

        Cubic B-splines between values on a lattice of ``pitch`` µm.

        Returns
        -------
        (len(y), len(x)) float32
        """
        first_i, tap_i, weight_i = _spline(x, pitch)
        first_j, tap_j, weight_j = _spline(y, pitch)
        i = np.arange(first_i, first_i + tap_i[-1] + 4)
        j = np.arange(first_j, first_j + tap_j[-1] + 4)
        values = self.uniform(i[None, :], j[:, None]) * np.float32(2 * NOISE_LIMIT) - np.float32(NOISE_LIMIT)
        rows = sum(weight_j[k][:, None] * values[tap_j + k] for k in range(4))
        columns = np.ascontiguousarray(np.asarray(rows).T)
        field = weight_i[0][:, None] * columns[tap_i]
        for k in range(1, 4):
            field += weight_i[k][:, None] * columns[tap_i + k]
        return np.ascontiguousarray(field.T)

    def fractal(self, x: Axis, y: Axis, pitch: float, octaves: int, gain: float = 0.5) -> Floats:
        """Return ``octaves`` of noise, each of half the pitch and ``gain`` times the height of the one before."""
        field = np.zeros((len(y), len(x)), np.float32)
        for octave in range(octaves):
            lattice = Lattice(self.seed, f"{self.name}/{octave}")
            field += np.float32(gain**octave) * lattice.noise(x, y, pitch / 2**octave)
        return field / np.float32(np.sqrt(sum(gain ** (2 * octave) for octave in range(octaves))))

    def points(self, i: Ints, j: Ints, pitch: float, jitter: float) -> tuple[Axis, Axis]:
        """Return x, y in µm of one point per lattice square, moved by up to ``jitter`` / 2 squares either way.

        Every other row is shifted by half a square, so that no right angles show.
        """
        dx = Lattice(self.seed, f"{self.name}/x").uniform(i, j).astype(np.float64)
        dy = Lattice(self.seed, f"{self.name}/y").uniform(i, j).astype(np.float64)
        shift = np.where(j % 2, 0.25, -0.25)
        return (i + 0.5 + shift + (dx - 0.5) * jitter) * pitch, (j + 0.5 + (dy - 0.5) * jitter) * pitch

    def cells(self, x: Floats, y: Floats, pitch: float, jitter: float) -> tuple[Floats, Floats, Floats]:
        """Return distances in µm to the nearest and second nearest point, and a value in [0, 1) of the nearest's own.

        Worley's cellular texture (1996) at positions ``x``, ``y`` of one shape, which may be warped.
        """
        i0, j0 = int(np.floor(x.min() / pitch)) - 1, int(np.floor(y.min() / pitch)) - 1
        i = np.arange(i0, int(np.floor(x.max() / pitch)) + 2)
        j = np.arange(j0, int(np.floor(y.max() / pitch)) + 2)
        px, py = self.points(*np.meshgrid(i, j), pitch, jitter)
        table_x, table_y = px.astype(np.float32).ravel(), py.astype(np.float32).ravel()
        own = self.uniform(i[None, :], j[:, None]).ravel()
        at = (np.floor(y / pitch).astype(np.int32) - j0) * len(i) + (np.floor(x / pitch).astype(np.int32) - i0)
        first = np.full(x.shape, np.inf, np.float32)
        second = first.copy()
        nearest = at
        for step in (dj * len(i) + di for dj in (-1, 0, 1) for di in (-1, 0, 1)):
            there = at + step
            away = (table_x.take(there) - x) ** 2 + (table_y.take(there) - y) ** 2
            nearer = away < first
            np.minimum(second, np.maximum(first, away), out=second)
            nearest = np.where(nearer, there, nearest)
            np.minimum(first, away, out=first)
        return np.sqrt(first), np.sqrt(second), own.take(nearest)


def _spline(at: Axis, pitch: float) -> tuple[int, Ints, Floats]:
    """Return the first lattice index needed, each position's first tap after it, and the four taps' weights (4, n)."""
    scaled = at / pitch
    whole = np.floor(scaled)
    t = scaled - whole
    first = int(whole[0]) - 1
    weights = np.stack([(1 - t) ** 3, 3 * t**3 - 6 * t**2 + 4, -3 * t**3 + 3 * t**2 + 3 * t + 1, t**3]) / 6
    return first, whole.astype(np.int64) - 1 - first, weights.astype(np.float32)


def ramp(values: NDArray[np.floating], low: float, high: float) -> Floats:
    """Return a smooth step: 0 at ``low`` and below, 1 at ``high`` and above (or the reverse where high < low)."""
    t = np.clip((values - np.float32(low)) * np.float32(1 / (high - low)), 0, 1)
    return np.asarray(t * t * (3 - 2 * t), np.float32)
