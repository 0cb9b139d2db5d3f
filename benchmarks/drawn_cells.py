"""The instance files of a large slide, drawn: what its tiles report, nuclei near seams from two tiles or four."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import shapely

from pathopipe.geometry import Box, Outlines
from pathopipe.instances import Instances
from pathopipe.models.stain import BLACK_PART, HEMATOXYLIN_OD_MEAN, OD_MEANS
from pathopipe.slide.base import Scale, SlideInfo
from pathopipe.store.instances import InstanceStore
from pathopipe.tiling.grid import GridSpec, Tile, TileGrid
from pathopipe.tiling.tissue import Tissue

MPP, SLIDE_MPP = 0.5, 0.25
PITCH_PX = 28.0
"""Distance of the nuclei in working pixels: 5,100 a mm²."""
VERTICES = 32
HALO_PX, TILE_PX = 64, 1024
NOISE_PX = 0.3
"""How differently two tiles see a nucleus, in working pixels."""


class DrawnCells:
    """About ``cells`` nuclei on a jittered lattice over a square slide, the same for the same number."""

    def __init__(self, cells: int) -> None:
        self.count = max(2, round(math.sqrt(cells)))
        side = math.ceil(self.count * PITCH_PX)
        self.info = SlideInfo(
            path="drawn.svs",
            reader="drawn",
            width=round(side * MPP / SLIDE_MPP),
            height=round(side * MPP / SLIDE_MPP),
            levels=(),
            scale_found=Scale(SLIDE_MPP, SLIDE_MPP, "drawn"),
            scale_problem="",
            objective=40.0,
            vendor="drawn",
            bounds=None,
            identity=f"drawn-{self.count}",
            unusual=(),
        )
        self.frame = self.info.frame(MPP)
        self.grid = TileGrid.cover(
            self.frame.width, self.frame.height, GridSpec(tile_px=TILE_PX, halo_px=HALO_PX), HALO_PX
        )
        rng = np.random.default_rng(self.count)
        shape = (self.count, self.count)
        self._x, self._y = rng.uniform(-0.3, 0.3, (2, *shape)).astype(np.float32) * PITCH_PX
        self._long = rng.uniform(6.0, 12.0, shape).astype(np.float32)
        self._flat = rng.uniform(0.55, 1.0, shape).astype(np.float32)
        self._turn, self._phase = rng.uniform(0, np.pi, (2, *shape)).astype(np.float32)

    def tissue(self) -> Tissue:
        """Return tissue that covers most of the slide: a wavy outline with holes."""
        angle = np.linspace(0, 2 * np.pi, 4000, endpoint=False)
        side = self.info.width
        reach = side * (0.62 + 0.01 * np.sin(40 * angle) + 0.002 * np.sin(900 * angle))
        ring = np.stack([side / 2 + reach * np.cos(angle), side / 2 + reach * np.sin(angle)], axis=1)
        whole = shapely.intersection(shapely.Polygon(ring), shapely.box(0, 0, side, side))
        holes = [shapely.Point(side * x, side * y).buffer(side / 60, 64) for x in (0.2, 0.5, 0.8) for y in (0.3, 0.7)]
        area = shapely.multipolygons(shapely.get_parts(shapely.difference(whole, shapely.union_all(holes))))
        mm2 = SLIDE_MPP**2 / 1e6
        thumbnail = np.full((32, 32, 3), 255, np.uint8)
        return Tissue(area, area.area * mm2, side * side * mm2, thumbnail, self.info.frame(side * SLIDE_MPP / 32))

    def put(self, folder: Path, fingerprint: str) -> tuple[Tile, ...]:
        """Write what each tile that touches tissue reports into an instance store in ``folder``; return the tiles."""
        store = InstanceStore(folder, fingerprint)
        tiles = self.grid.touching(self.tissue(), self.frame)
        for tile in store.missing(tiles):
            store.put(tile, self.seen_by(tile))
        return tiles

    def seen_by(self, tile: Tile) -> Instances:
        """Return what ``tile`` finds in its read box, nuclei that its border cuts included, in level-0 pixels."""
        seen = tile.read.clipped(self.frame.box)
        rows, cols = self._near(seen.y0, seen.y1), self._near(seen.x0, seen.x1)
        row, col = (each.ravel() for each in np.meshgrid(rows, cols, indexing="ij"))
        rng = np.random.default_rng((tile.row, tile.col))
        outlines = _cut(self._rings(row, col, rng), seen)
        number = len(outlines)
        density = rng.normal([0.55, 0.75, 0.42], 0.04, (number, 3)).astype(np.float32)
        density[rng.random(number) < 0.001] = (1.3, 1.35, 1.35)  # here and there a grain of black dirt
        return Instances(
            outlines.with_coords(self.frame.points_to_level0(outlines.coords)),
            rng.uniform(0.4, 1, number).astype(np.float32),
            np.zeros(number, np.uint8),
            ("Nucleus",),
            {
                HEMATOXYLIN_OD_MEAN: rng.uniform(0.3, 1.2, number).astype(np.float32),
                **{name: density[:, channel].copy() for channel, name in enumerate(OD_MEANS)},
                BLACK_PART: (density[:, 0] > 1).astype(np.float32),
            },
        )

    def _near(self, low: int, high: int) -> np.ndarray:
        return np.arange(max(0, int(low / PITCH_PX) - 1), min(self.count, int(high / PITCH_PX) + 2))

    def _rings(self, row: np.ndarray, col: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Return (n, VERTICES, 2) outlines in working pixels, as one tile sees them."""
        long, flat, turn, phase = (
            values[row, col][:, None] for values in (self._long, self._flat, self._turn, self._phase)
        )
        angle = np.arange(VERTICES) * (2 * np.pi / VERTICES)
        rays = long * flat / np.hypot(flat * np.cos(angle - turn), np.sin(angle - turn))
        rays = rays * (1 + 0.05 * np.cos(3 * angle + 7 * phase)) + rng.normal(0, NOISE_PX, rays.shape) / 2
        middle_x = (col + 0.5) * PITCH_PX + self._x[row, col] + rng.normal(0, NOISE_PX, len(row))
        middle_y = (row + 0.5) * PITCH_PX + self._y[row, col] + rng.normal(0, NOISE_PX, len(row))
        return np.stack([middle_x[:, None] + rays * np.cos(angle), middle_y[:, None] + rays * np.sin(angle)], axis=-1)


def _cut(rings: np.ndarray, box: Box) -> Outlines:
    """Return the outlines, cut by ``box``, without those of which hardly anything lies in it."""
    low, high = np.array([box.x0, box.y0]), np.array([box.x1, box.y1])
    cut = np.clip(rings, low, high)
    rings = cut[((cut.max(axis=1) - cut.min(axis=1)) > 3).all(axis=1)]
    return Outlines(rings.reshape(-1, 2).astype(np.float32), np.arange(len(rings) + 1, dtype=np.int64) * rings.shape[1])
