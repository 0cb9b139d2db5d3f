"""Boxes, frames and outlines: the shapes that every room passes to the next.

Two frames exist. *Level-0 pixels* are the slide's own, (x, y), origin at the top left corner of the top left pixel;
everything that leaves a room is in them. *Working pixels* are those of a :class:`Frame`, the slide seen at the model's
mpp; only grid, store and model use them. Boxes are half-open, and coordinates are continuous: the pixel in column 3
covers 3 <= x < 4. Arrays are (y, x, channel).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.edges import Edges, closing


class Box(NamedTuple):
    """A half-open box of whole pixels: x0 <= x < x1, y0 <= y < y1."""

    x0: int
    y0: int
    x1: int
    y1: int

    @property
    def width(self) -> int:
        """Width in pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> int:
        """Height in pixels."""
        return self.y1 - self.y0

    @property
    def area(self) -> int:
        """Number of pixels."""
        return self.width * self.height

    def grown(self, margin: int) -> Box:
        """Return the box with ``margin`` pixels more on every side."""
        return Box(self.x0 - margin, self.y0 - margin, self.x1 + margin, self.y1 + margin)

    def clipped(self, other: Box) -> Box:
        """Return the part inside ``other``; of zero width or height where they do not meet."""
        x0, y0 = max(self.x0, other.x0), max(self.y0, other.y0)
        return Box(x0, y0, max(x0, min(self.x1, other.x1)), max(y0, min(self.y1, other.y1)))

    def contains(self, other: Box) -> bool:
        """Return whether ``other`` lies wholly inside."""
        return self.x0 <= other.x0 and self.y0 <= other.y0 and other.x1 <= self.x1 and other.y1 <= self.y1


class Rect(NamedTuple):
    """A rectangle in continuous level-0 pixel coordinates."""

    x0: float
    y0: float
    x1: float
    y1: float

    @property
    def width(self) -> float:
        """Width in level-0 pixels."""
        return self.x1 - self.x0

    @property
    def height(self) -> float:
        """Height in level-0 pixels."""
        return self.y1 - self.y0


@dataclass(frozen=True, slots=True)
class Frame:
    """A slide seen at one resolution: the grid of *working pixels* and how it lies on level 0.

    Working pixels are square in µm, so on a slide with anisotropic mpp ``scale_x`` and ``scale_y`` differ. Both frames
    share their origin, the top left corner of the slide.
    """

    width: int
    """Width in working pixels; the last column may reach beyond the slide by a part of a pixel."""
    height: int
    """Height in working pixels."""
    mpp: float
    """Side of a working pixel in µm."""
    scale_x: float
    """Level-0 pixels per working pixel in x."""
    scale_y: float
    """Level-0 pixels per working pixel in y."""

    @classmethod
    def at(cls, mpp: float, width: int, height: int, mpp_x: float, mpp_y: float) -> Frame:
        """Return the frame of a slide of ``width`` × ``height`` level-0 pixels of ``mpp_x`` × ``mpp_y`` µm."""
        scale_x, scale_y = mpp / mpp_x, mpp / mpp_y
        # 1e-6: a slide of exactly 1000 working pixels must not get a 1001st from rounding in the division.
        return cls(math.ceil(width / scale_x - 1e-6), math.ceil(height / scale_y - 1e-6), mpp, scale_x, scale_y)

    @property
    def box(self) -> Box:
        """The whole frame as a box in working pixels."""
        return Box(0, 0, self.width, self.height)

    def to_level0(self, box: Box) -> Rect:
        """Return ``box`` (working pixels) as a rectangle in level-0 pixels."""
        return Rect(box.x0 * self.scale_x, box.y0 * self.scale_y, box.x1 * self.scale_x, box.y1 * self.scale_y)

    def points_to_level0(self, xy: NDArray[np.floating]) -> NDArray[np.float32]:
        """Return points (n, 2) given in working pixels as level-0 pixels."""
        scale = np.array([self.scale_x, self.scale_y])
        return np.asarray(xy * scale, np.float32)


_STEPS = 1024


def snapped(xy: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return ``xy`` rounded to multiples of 1/1024.

    In a tile float32 holds these exactly, and sums of them, so that what is computed of them does not depend on where
    in its tile something lies.
    """
    rounded: NDArray[np.float64] = np.round(np.asarray(xy, np.float64) * _STEPS) / _STEPS
    return rounded


_BLOCK_VERTICES = 16_384
"""Vertices that are measured at a time: a dozen arrays of them fit into a CPU's second-level cache."""


@dataclass(frozen=True)
class Outlines:
    """Many simple polygons without holes, as one ragged array; empty is allowed.

    A ring is stored open (the first vertex is not repeated) and has at least three vertices.
    """

    coords: NDArray[np.float32]
    """(vertices, 2) x, y of all rings one after the other."""
    offsets: NDArray[np.int64]
    """(n + 1,) ring i is ``coords[offsets[i]:offsets[i + 1]]``."""

    def __post_init__(self) -> None:
        if self.coords.ndim != 2 or self.coords.shape[1] != 2:
            raise ValueError(f"coords must be (vertices, 2), not {self.coords.shape}")
        if self.offsets.ndim != 1 or not len(self.offsets) or self.offsets[-1] != len(self.coords):
            raise ValueError("offsets must start at 0 and end at the number of vertices")
        if len(self) and int(np.diff(self.offsets).min()) < 3:
            raise ValueError("a ring needs at least three vertices")

    @classmethod
    def empty(cls) -> Outlines:
        """Return no outlines."""
        return cls(np.zeros((0, 2), np.float32), np.zeros(1, np.int64))

    @classmethod
    def of(cls, rings: Iterable[NDArray[np.floating]]) -> Outlines:
        """Return the outlines of ``rings``, each an open ring (k, 2) of x, y."""
        arrays = [np.asarray(ring, np.float32) for ring in rings]
        if not arrays:
            return cls.empty()
        offsets = np.zeros(len(arrays) + 1, np.int64)
        np.cumsum([len(ring) for ring in arrays], out=offsets[1:])
        return cls(np.concatenate(arrays), offsets)

    @classmethod
    def concat(cls, parts: Iterable[Outlines]) -> Outlines:
        """Return the outlines of all ``parts`` in order."""
        parts = list(parts)
        if not parts:
            return cls.empty()
        counts = np.concatenate([np.diff(part.offsets) for part in parts])
        offsets = np.zeros(len(counts) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        return cls(np.concatenate([part.coords for part in parts]), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def ring(self, index: int) -> NDArray[np.float32]:
        """Return ring ``index`` as (k, 2), open."""
        ring: NDArray[np.float32] = self.coords[self.offsets[index] : self.offsets[index + 1]]
        return ring

    def take(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> Outlines:
        """Return the rings chosen by an integer or boolean ``index``, in its order."""
        index = np.flatnonzero(index) if index.dtype == np.bool_ else np.asarray(index)
        counts = np.diff(self.offsets)[index]
        offsets = np.zeros(len(index) + 1, np.int64)
        np.cumsum(counts, out=offsets[1:])
        # For every vertex of the result: where its ring starts in the source, plus its place in the ring.
        vertex = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][index] - offsets[:-1], counts)
        taken = Outlines(np.take(self.coords, vertex, axis=0), offsets)
        if "_measured" in vars(self):  # what is known of a ring stays known
            vars(taken)["_measured"] = tuple(values[index] for values in self._measured)
        return taken

    def part(self, start: int, end: int) -> Outlines:
        """Return rings ``start`` to ``end`` (exclusive), without a copy of their vertices."""
        offsets = self.offsets[start : end + 1]
        part = Outlines(self.coords[offsets[0] : offsets[-1]], offsets - offsets[0])
        if "_measured" in vars(self):
            vars(part)["_measured"] = tuple(values[start:end] for values in self._measured)
        return part

    def with_coords(self, coords: NDArray[np.floating]) -> Outlines:
        """Return the same rings with other coordinates (vertices, 2)."""
        return Outlines(np.ascontiguousarray(coords, np.float32), self.offsets)

    def bounds(self) -> NDArray[np.float32]:
        """Return (n, 4): x0, y0, x1, y1 of every ring."""
        if not len(self):
            return np.zeros((0, 4), np.float32)
        x, y = np.ascontiguousarray(self.coords.T)  # reduceat is faster along an axis of its own than over rows
        sides = [extreme.reduceat(axis, self.offsets[:-1]) for extreme in (np.minimum, np.maximum) for axis in (x, y)]
        return np.stack(sides, axis=1)

    @cached_property
    def _measured(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Signed area (n,) and centroid (n, 2) of every ring."""
        area, centroid = np.zeros(len(self)), np.zeros((len(self), 2))
        for part, edges in self.edges():
            area[part], centroid[part] = edges.area, edges.mean + self.coords[self.offsets[part]]
        return area, centroid

    def edges(self) -> Iterator[tuple[slice, Edges]]:
        """Yield the edges of the rings, some thousand at a time: what is computed of them stays in the CPU's cache."""
        start = 0
        while start < len(self):
            end = int(np.searchsorted(self.offsets, self.offsets[start] + _BLOCK_VERTICES, "right")) - 1
            end = max(end, start + 1)
            yield (
                slice(start, end),
                Edges(self.coords[self.offsets[start] : self.offsets[end]], self.offsets[start : end + 1]),
            )
            start = end

    def areas(self) -> NDArray[np.float64]:
        """Return (n,) the area of every ring in square pixels of its frame."""
        return np.abs(self._measured[0])

    def centroids(self) -> NDArray[np.float64]:
        """Return (n, 2) the centroid of every ring."""
        return self._measured[1]

    def to_shapely(self, decimals: int | None = None) -> NDArray[np.object_]:
        """Return (n,) shapely polygons, their coordinates rounded to ``decimals`` if given."""
        if not len(self):
            return np.zeros(0, object)
        closed = np.take(self.coords, closing(self.offsets), axis=0).astype(np.float64)
        if decimals is not None:
            closed = np.round(closed, decimals)
        rings = self.offsets + np.arange(len(self) + 1)
        polygons: NDArray[np.object_] = shapely.from_ragged_array(
            shapely.GeometryType.POLYGON, closed, (rings, np.arange(len(self) + 1))
        )
        return polygons
