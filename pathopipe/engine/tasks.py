"""What a worker does with tiles: read with halo, predict, measure, and write one file a tile."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pathopipe.engine.retry import each_or_aside
from pathopipe.engine.worker import PixelSource, open_instances, open_predictor, open_tiles, reopen_tiles
from pathopipe.geometry import Box
from pathopipe.instances import Instances
from pathopipe.models.base import ModelSpec
from pathopipe.models.border import cut_at_border, mirrored
from pathopipe.models.stain import measure
from pathopipe.stopwatch import Spent, add_spent, take_spent, timed
from pathopipe.store.chunks import WHITE
from pathopipe.store.tiles import TileStore
from pathopipe.tiling.grid import Tile


@dataclass(frozen=True, slots=True)
class TileOutcome:
    """What became of a tile; all that travels back from a worker."""

    tile: Tile
    cells: int
    """Instances in its file, those in the halo included."""
    error: str | None
    """Why it could not be analysed, in one line; None if it was."""
    trace: str = ""
    """The traceback of that, where there is one."""
    spent: Mapping[str, Spent] = field(default_factory=dict)
    """What its worker spent on each stage; of a batch, the first outcome tells for all."""


def set_aside(tile: Tile, error: str, trace: str = "") -> TileOutcome:
    """Return the outcome of a tile that could not be analysed."""
    return TileOutcome(tile, 0, error, trace)


_left: tuple[object, float] | None = None
"""The task that this process worked at last, and when it had done so."""


def begin(task: object) -> None:
    """Count as waiting what passed since this process last did ``task`` for other tiles, but for what it did else."""
    meanwhile = take_spent().values()
    if _left is not None and _left[0] == task:
        other = Spent(sum(spent.seconds for spent in meanwhile), sum(spent.cpu_seconds for spent in meanwhile))
        add_spent("wait", Spent(time.perf_counter() - _left[1] - other.seconds, 0.0))
        if other.seconds:
            add_spent("other", other)


def with_spent(task: object, outcomes: Sequence[TileOutcome]) -> tuple[TileOutcome, ...]:
    """End ``task``: return ``outcomes``, the first with all that this process spent since the last time."""
    global _left
    spent, _left = take_spent(), (task, time.perf_counter())
    return tuple(replace(outcome, spent=spent) if index == 0 else outcome for index, outcome in enumerate(outcomes))


@dataclass(frozen=True)
class PredictTiles:
    """The task of the main job: tiles in, one instance file a tile out."""

    source: PixelSource
    model: ModelSpec
    instances: Path
    """Folder of the instance files."""
    fingerprint: str
    """Of everything that the instances depend on."""
    whole: bool = False
    """Whether the model is shown squares of one size whatever a tile reads, white where it does not: a batch has to be
    of one shape, and a GPU computes in other steps for another one."""

    def __call__(self, tiles: tuple[Tile, ...]) -> tuple[TileOutcome, ...]:
        """Analyse ``tiles`` as one batch; a tile that fails twice is reported, and the others go on."""
        begin(self)
        return with_spent(self, each_or_aside(tiles, self._analyse, lambda: reopen_tiles(self.source), set_aside))

    def _analyse(self, tiles: Sequence[Tile]) -> list[TileOutcome]:
        with timed("open"):
            store = open_tiles(self.source)
            found = open_instances(self.instances, self.fingerprint)
            predictor = open_predictor(self.model)
        pixels, outcomes = [], []
        for tile in tiles:
            with timed("store"):
                pixels.append(self._pixels(store, tile))
        with timed("infer"):
            predicted = predictor.predict(np.stack(pixels))
        for tile, rgb, instances in zip(tiles, pixels, predicted, strict=True):
            with timed("post"):
                instances = self._in_level0(tile, rgb, instances)
            with timed("save"):
                found.put(tile, instances)
            outcomes.append(TileOutcome(tile, len(instances), None))
        return outcomes

    def shown(self, tile: Tile) -> Box:
        """Return what the model is shown of ``tile``, in working pixels."""
        return tile.whole if self.whole else tile.read

    def _pixels(self, store: TileStore, tile: Tile) -> NDArray[np.uint8]:
        """Return the pixels that the model is shown: what ``tile`` reads, and the slide mirrored beyond it."""
        read, shown = (box.clipped(self.source.frame.box) for box in (tile.read, self.shown(tile)))
        pixels = store.read(read)
        if read != shown:
            canvas = np.full((shown.height, shown.width, 3), WHITE, np.uint8)
            canvas[read.y0 - shown.y0 : read.y1 - shown.y0, read.x0 - shown.x0 : read.x1 - shown.x0] = pixels
            pixels = canvas
        return mirrored(pixels, shown, self.shown(tile))

    def _in_level0(self, tile: Tile, rgb: NDArray[np.uint8], instances: Instances) -> Instances:
        """Return the instances of ``tile`` (in the pixels shown, ``rgb``) measured, in level-0 pixels."""
        shown = self.shown(tile)
        outlines, kept = cut_at_border(instances.outlines, shown.clipped(self.source.frame.box), shown)
        instances = measure(rgb, instances.take(kept).with_outlines(outlines))
        origin = np.array([shown.x0, shown.y0])
        # float64 until here: float32 halves would cost precision far from the origin.
        coords = self.source.frame.points_to_level0(outlines.coords.astype(np.float64) + origin)
        return instances.with_outlines(outlines.with_coords(coords))


@dataclass(frozen=True)
class FillTiles:
    """The task of ``pathopipe tile``: decode tiles into the store and nothing else."""

    source: PixelSource

    def __call__(self, tiles: tuple[Tile, ...]) -> tuple[TileOutcome, ...]:
        """Read ``tiles`` so that their chunks are stored; a tile that fails twice is reported, and the others go on."""
        begin(self)
        return with_spent(self, each_or_aside(tiles, self._fill, lambda: reopen_tiles(self.source), set_aside))

    def _fill(self, tiles: Sequence[Tile]) -> list[TileOutcome]:
        with timed("open"):
            store = open_tiles(self.source)
        for tile in tiles:
            with timed("store"):
                store.read(tile.core)
        return [TileOutcome(tile, 0, None) for tile in tiles]
