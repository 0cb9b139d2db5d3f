"""What one tile reports, and how well it has seen it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathopipe.geometry import Box, Frame
from pathopipe.instances import Instances
from pathopipe.tiling.grid import Tile

Sides = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """The instances that a tile answers for, by centroid (y, then x)."""

    tile: Tile
    index: NDArray[np.int32]
    """(n,) which each is of all that was found in the tile."""
    instances: Instances
    """In level-0 pixels."""
    bounds: Sides
    """(n, 4) x0, y0, x1, y1 of every instance in working pixels."""
    to_border: Sides
    """(n, 4) distance in working pixels from those sides to the tile's read border; infinite where the slide ends, and
    where the tile is cropped: all that is reported lies in the tissue, which is far from there."""

    @classmethod
    def of(cls, tile: Tile, found: Instances, frame: Frame, margin_um: float) -> View:
        """Return what ``tile`` reports of what was ``found`` in its read box (level-0 pixels).

        Raises
        ------
        ValueError
            If an outline has a coordinate that is not finite.
        """
        if not np.isfinite(found.outlines.coords).all():
            raise ValueError(f"tile {tile.name} has an outline with a coordinate that is not finite")
        scale = np.array([frame.scale_x, frame.scale_y])
        x, y = (found.outlines.centroids() / scale).T
        x0, y0, x1, y1 = tile.core
        margin = margin_um / frame.mpp
        mine = np.flatnonzero((x >= x0 - margin) & (x < x1 + margin) & (y >= y0 - margin) & (y < y1 + margin))
        mine = mine[np.lexsort((mine, x[mine], y[mine]))]
        instances = found.take(mine)
        bounds = instances.outlines.bounds() / np.tile(scale, 2)
        distance = (bounds - np.array(tile.read)) * (1, 1, -1, -1)
        distance[:, _slide_ends(tile.read, frame) | np.array(tile.cropped)] = np.inf
        return cls(tile, mine.astype(np.int32), instances, bounds.astype(np.float32), distance.astype(np.float32))

    def __len__(self) -> int:
        return len(self.instances)

    def place(self) -> tuple[int, int]:
        """Return the tile's (row, col)."""
        return self.tile.row, self.tile.col

    def near_seam(self) -> NDArray[np.bool_]:
        """Return (n,) whether another tile may have seen a part of the instance.

        Other tiles see into this square as far as their halo goes; what lies farther inside is this tile's alone.
        """
        x0, y0, x1, y1 = self.tile.square.grown(self.tile.read.x0 - self.tile.core.x0)
        low, high = self.bounds[:, :2], self.bounds[:, 2:]
        alone = (low >= (x0, y0)).all(axis=1) & (high <= (x1, y1)).all(axis=1)
        return np.logical_not(alone)


def _slide_ends(read: Box, frame: Frame) -> NDArray[np.bool_]:
    """Return for each side of ``read`` whether there is no slide beyond it."""
    return np.array([read.x0 <= 0, read.y0 <= 0, read.x1 >= frame.width, read.y1 >= frame.height])
