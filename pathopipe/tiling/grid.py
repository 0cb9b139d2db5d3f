"""Which tiles a slide is cut into: pure integers, no pixels read.

The plane is covered by squares. A tile answers for the part of its square, its *core*, where there is tissue, and reads
that with a halo around it::

    +-square----------------+      The core is a rectangle: the bounds of the tissue in the square, grown by a margin.
    |      ..........read.. |      What is found in the tissue depends on no pixel beyond core and halo, so that it is
    |      . +--core-----+. |      the same as if the whole square were read (docs/adr/0015).
    |      . |    _______|__|___
    |      . |   /       |. | tissue
    +------.-+--/--------+--+---
           . . / . . . . .
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from pathopipe.errors import ConfigError
from pathopipe.geometry import Box, Frame
from pathopipe.spec import Spec

if TYPE_CHECKING:  # tissue detection needs OpenCV, and the grid's settings are loaded at start-up
    from pathopipe.tiling.tissue import Tissue

_STEP_PX = 64
"""Cropped cores end at multiples of about this: for every size of its input a network is set up anew."""


class GridSpec(Spec):
    """How the slide is cut into tiles."""

    tile_px: int = Field(3072, ge=64, le=16384)
    """Most that the side of what a tile reads may be, halo included, in working pixels."""
    halo_px: int | None = Field(None, ge=0)
    """Context around a tile's core in working pixels; None takes what the model asks for."""
    crop: bool = True
    """Leave out of a tile what holds no tissue; the cells that are reported are the same."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile has two boxes, in working pixels: what it reads and what it answers for."""

    row: int
    col: int
    core: Box
    """The part of the plane that this tile answers for; cores do not overlap, and cover all tissue."""
    read: Box
    """``core`` with the halo; may reach beyond the slide, which the model sees mirrored."""
    square: Box
    """The square of the grid that ``core`` is a part of; squares cover the plane exactly once."""

    @property
    def name(self) -> str:
        """Stable file stem, such as "r0003_c0012"."""
        return f"r{self.row:04d}_c{self.col:04d}"

    @property
    def whole(self) -> Box:
        """What would be read if the tile answered for all of its square; of one shape for all tiles."""
        return self.square.grown(self.core.x0 - self.read.x0)

    @property
    def cropped(self) -> tuple[bool, bool, bool, bool]:
        """Whether the left, upper, right and lower side of ``core`` lie inside ``square``: beyond is no tissue."""
        x0, y0, x1, y1 = (mine != all_ for mine, all_ in zip(self.core, self.square, strict=True))
        return x0, y0, x1, y1


@dataclass(frozen=True, slots=True)
class TileGrid:
    """The tiles that cover a plane of ``width`` × ``height`` working pixels, row by row."""

    width: int
    height: int
    core_px: int
    """Side of every square."""
    halo_px: int
    margin_px: int | None = None
    """How far a core reaches beyond its tissue; None: as far as its square."""
    step_px: int = _STEP_PX
    """Cropped cores end at multiples of it."""

    @classmethod
    def cover(
        cls,
        width: int,
        height: int,
        spec: GridSpec,
        model_halo_px: int,
        stride_px: int = 1,
        margin_px: int | None = None,
    ) -> TileGrid:
        """Return the grid of as few tiles as ``spec`` allows, no larger than they need be.

        Parameters
        ----------
        width, height : int
            The plane in working pixels.
        spec : GridSpec
            The user's settings.
        model_halo_px : int
            The halo that the model asks for, used where the user gives none.
        stride_px : int
            Core and halo are multiples of it, so that the model's strided layers meet the same pixels in every tile.
        margin_px : int, optional
            How far from a place what the model says may matter to what is found there; None: cores are not cropped.

        Raises
        ------
        ConfigError
            If tile and halo do not leave a core, or do not fit the stride.
        """
        halo = model_halo_px if spec.halo_px is None else spec.halo_px
        core = spec.tile_px - 2 * halo
        fitting = halo + -halo % stride_px
        cure = f"grid.halo_px={fitting} and " if fitting != halo else ""
        if core < stride_px:
            least = max(4 * fitting, 2 * fitting + stride_px, 64)
            raise ConfigError(
                f"grid.tile_px={spec.tile_px} leaves no core inside a halo of {halo} px; "
                f"use {cure}grid.tile_px={least + -least % stride_px} or more"
            )
        if core % stride_px or halo % stride_px:
            tile = max(spec.tile_px + -spec.tile_px % stride_px, 2 * fitting + stride_px)
            raise ConfigError(
                f"the model works in steps of {stride_px} px: grid.tile_px={spec.tile_px} and a halo of {halo} px do "
                f"not fit; use {cure}grid.tile_px={tile}"
            )
        # As few rows and columns as fit, and then cores as small as still cover the plane: what a tile reads beyond it
        # is computed in vain.
        needed = max(-(-side // -(-side // core)) for side in (max(width, 1), max(height, 1)))
        margin = margin_px if spec.crop else None
        return cls(width, height, needed + -needed % stride_px, halo, margin, _STEP_PX + -_STEP_PX % stride_px)

    @property
    def rows(self) -> int:
        """Number of tile rows."""
        return -(-self.height // self.core_px)

    @property
    def cols(self) -> int:
        """Number of tile columns."""
        return -(-self.width // self.core_px)

    def __len__(self) -> int:
        return self.rows * self.cols

    def __iter__(self) -> Iterator[Tile]:
        return (self.tile(row, col) for row in range(self.rows) for col in range(self.cols))

    def tile(self, row: int, col: int) -> Tile:
        """Return the tile at ``row``, ``col``, which answers for all of its square.

        Raises
        ------
        IndexError
            If there is no such tile.
        """
        if not (0 <= row < self.rows and 0 <= col < self.cols):
            raise IndexError(f"no tile ({row}, {col}) in a grid of {self.rows} × {self.cols}")
        x, y = col * self.core_px, row * self.core_px
        core = Box(x, y, x + self.core_px, y + self.core_px)
        return Tile(row, col, core, core.grown(self.halo_px), core)

    def touching(self, tissue: Tissue, frame: Frame) -> tuple[Tile, ...]:
        """Return the tiles whose square meets ``tissue``, row by row, their cores cropped to it.

        Parameters
        ----------
        tissue : Tissue
            In level-0 pixels.
        frame : Frame
            The frame that this grid covers.
        """
        x0, y0, x1, y1 = tissue.polygons.bounds if not tissue.polygons.is_empty else (0.0, 0.0, -1.0, -1.0)
        size_x, size_y = self.core_px * frame.scale_x, self.core_px * frame.scale_y
        # One tile more on each side: tissue that ends exactly on a border meets the tiles on both sides.
        rows = np.arange(max(0, int(y0 // size_y) - 1), min(self.rows, int(y1 // size_y) + 2))
        cols = np.arange(max(0, int(x0 // size_x) - 1), min(self.cols, int(x1 // size_x) + 2))
        row, col = (each.ravel() for each in np.meshgrid(rows, cols, indexing="ij"))
        rects = np.stack([col * size_x, row * size_y, (col + 1) * size_x, (row + 1) * size_y], axis=1)
        met = np.flatnonzero(tissue.touches(rects))
        tiles = tuple(self.tile(int(row[index]), int(col[index])) for index in met)
        return tiles if self.margin_px is None else self._cropped(tiles, tissue, frame, self.margin_px)

    def _cropped(self, tiles: tuple[Tile, ...], tissue: Tissue, frame: Frame, margin: int) -> tuple[Tile, ...]:
        """Return ``tiles`` with cores no larger than their tissue and ``margin`` around it ask for.

        Tissue beyond the square counts as far as the margin goes: a nucleus in it may be seen from here, too.
        """
        scale = np.array([frame.scale_x, frame.scale_y] * 2)
        around = np.array([tile.square.grown(margin) for tile in tiles]).reshape(-1, 4) * scale
        bounds = tissue.bounds_in(around) / scale
        low = np.floor((bounds[:, :2] - margin) / self.step_px) * self.step_px
        high = np.ceil((bounds[:, 2:] + margin) / self.step_px) * self.step_px
        boxes = np.concatenate([low, high], axis=1).astype(int).tolist()
        cores = [Box(*box).clipped(tile.square) for tile, box in zip(tiles, boxes, strict=True)]
        return tuple(
            replace(tile, core=core, read=core.grown(self.halo_px)) for tile, core in zip(tiles, cores, strict=True)
        )
