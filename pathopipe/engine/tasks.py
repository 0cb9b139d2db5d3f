"""What a worker does with tiles: read with halo, predict, measure, and write one file a tile."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pathopipe.engine.worker import PixelSource, open_instances, open_predictor, open_tiles
from pathopipe.errors import SlideError
from pathopipe.models.base import ModelSpec
from pathopipe.models.border import cut_at_border, mirrored
from pathopipe.models.stain import measure
from pathopipe.tiling.grid import Tile


@dataclass(frozen=True, slots=True)
class TileOutcome:
    """What became of a tile; all that travels back from a worker."""

    tile: Tile
    cells: int
    """Instances in its file, those in the halo included."""
    error: str | None
    """Why it could not be analysed; None if it was."""


@dataclass(frozen=True)
class PredictTiles:
    """The task of the main job: tiles in, one instance file a tile out."""

    source: PixelSource
    model: ModelSpec
    instances: Path
    """Folder of the instance files."""
    fingerprint: str
    """Of everything that the instances depend on."""

    def __call__(self, tiles: tuple[Tile, ...]) -> tuple[TileOutcome, ...]:
        """Analyse ``tiles`` as one batch; a tile that cannot be read is reported, and the others go on."""
        store = open_tiles(self.source)
        found = open_instances(self.instances, self.fingerprint)
        pixels, readable, outcomes = [], [], []
        for tile in tiles:
            try:
                inside = tile.read.clipped(self.source.frame.box)
                pixels.append(mirrored(store.read(inside), inside, tile.read))
                readable.append(tile)
            except SlideError as error:
                outcomes.append(TileOutcome(tile, 0, str(error)))
        if readable:
            predicted = open_predictor(self.model).predict(np.stack(pixels))
            for tile, rgb, instances in zip(readable, pixels, predicted, strict=True):
                inside = tile.read.clipped(self.source.frame.box)
                outlines, kept = cut_at_border(instances.outlines, inside, tile.read)
                instances = measure(rgb, instances.take(kept).with_outlines(outlines))
                origin = np.array([tile.read.x0, tile.read.y0])
                # float64 until here: float32 halves would cost precision far from the origin.
                coords = self.source.frame.points_to_level0(outlines.coords.astype(np.float64) + origin)
                found.put(tile, instances.with_outlines(outlines.with_coords(coords)))
                outcomes.append(TileOutcome(tile, len(instances), None))
        return tuple(outcomes)


@dataclass(frozen=True)
class FillTiles:
    """The task of ``pathopipe tile``: decode tiles into the store and nothing else."""

    source: PixelSource

    def __call__(self, tiles: tuple[Tile, ...]) -> tuple[TileOutcome, ...]:
        """Read ``tiles`` so that their chunks are stored."""
        store = open_tiles(self.source)
        outcomes = []
        for tile in tiles:
            try:
                store.read(tile.core)
                outcomes.append(TileOutcome(tile, 0, None))
            except SlideError as error:
                outcomes.append(TileOutcome(tile, 0, str(error)))
        return tuple(outcomes)
