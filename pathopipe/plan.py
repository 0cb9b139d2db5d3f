"""``--dry-run``: what a run would do, how long it would take, and how much memory and disk.

The workers are started as the run would start them and analyse some tiles of each slide, in a temporary folder: spread
over the slide, so that tissue, its border and glass come in their proportions. What is reckoned from them is what grows
with the slide; what does not is done for real.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from pathopipe.config import Config
from pathopipe.engine.base import Executor
from pathopipe.engine.cluster import expected_workers, start_executor
from pathopipe.engine.cluster_file import read_cluster_file
from pathopipe.engine.probe import Probed, ProbeTiles, peak_bytes
from pathopipe.engine.spec import EngineSpec
from pathopipe.engine.tasks import PredictTiles
from pathopipe.errors import SlideError
from pathopipe.geometry import Box
from pathopipe.job import Job
from pathopipe.layout import SlideFolder
from pathopipe.models.device import visible_gpus
from pathopipe.pipeline import grid_for, pixel_source, predict_tiles
from pathopipe.slide.open import open_slide
from pathopipe.stopwatch import NOTHING, Spent, summed
from pathopipe.store.instances import InstanceStore
from pathopipe.store.tiles import TileStore
from pathopipe.tiling.grid import Tile
from pathopipe.tiling.tissue import find_tissue

_BATCHES_PER_WORKER = 3
"""Looked at on each slide, at most."""
# Measured with benchmarks/finish.py and benchmarks/estimates.py: what comes after the tiles.
_FINISH_S = 1.5
"""The overview, the scores, the check of the resolution, the report."""
_OWN_CELL_S = 15e-6
"""Stitching a cell, and what this process does to have it written."""
_WORKERS_CELL_S = 45e-6
"""Writing a cell, by one worker."""
_CELL_FILE_BYTES = 420.0
"""A cell in ``cells.geojson.zip`` and ``cells.parquet``."""
_CELL_BYTES = 150.0
"""A cell in the memory of the coordinating process."""
_OTHER_FILE_BYTES = 3e6
"""The overview, annotations, scores."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What analysing one slide would take."""

    id: str
    tissue_mm2: float
    tiles: int
    seconds: float
    """By the clock, by all workers of the run, without their start."""
    behind_seconds: float
    """What of these the coordinating process does after the tiles, while workers are at the next slide's."""
    disk_bytes: float
    """Size of the slide's folder."""
    cells: float
    """About how many would be found."""
    worker_bytes: int | None
    """Peak memory of a worker; None where the system does not tell."""
    own_bytes: int | None
    """Peak memory of the coordinating process; None where the system does not tell."""


class Planner:
    """Makes the plans of many slides with workers that are started once; a context manager.

    Parameters
    ----------
    config : Config
        Of the run that is planned. A cluster elsewhere is not bothered: one worker is started here in its place, and
        taken to be as fast as those.

    Raises
    ------
    ClusterError
        If no worker starts.
    """

    def __init__(self, config: Config) -> None:
        gpus = visible_gpus(config.model.device)
        self.workers = expected_workers(config.engine, gpus)
        """Of the run that is planned."""
        here = _runs_here(config.engine)
        a_core_each = expected_workers(EngineSpec(cluster="local"), ())
        self._crowded = here and self.workers >= a_core_each
        spec = config.engine if here else EngineSpec(cluster="local", workers=1)
        began = time.perf_counter()
        self._owned = ExitStack()
        self._engine: Executor = self._owned.enter_context(start_executor(spec, gpus if here else gpus[:1]))
        self._trial = Path(self._owned.enter_context(TemporaryDirectory(prefix="pathopipe-")))
        self._warm = False
        self._worker_bytes: list[int] = []
        self.start_seconds = time.perf_counter() - began
        """How long workers take to start and to load the model, as far as it was seen yet."""

    def seconds(self, plans: Sequence[Plan]) -> float:
        """Return how long a run over the slides of ``plans`` would take, with the workers' start.

        A slide is finished while the workers are at the next one. Where no core is left for that, it takes its part of
        theirs.
        """
        saved = 0.0
        if self._engine.beside:
            saved = sum(min(one.behind_seconds, next_.seconds - next_.behind_seconds) for one, next_ in pairwise(plans))
            saved *= 1 - 1 / self.workers if self._crowded else 1
        return self.start_seconds + sum(plan.seconds for plan in plans) - saved

    def plan(self, job: Job) -> Plan:
        """Return the plan for one slide; nothing is written into its folder.

        Raises
        ------
        PathopipeError
            If the slide cannot be opened, or none of the tiles that were tried can be analysed.
        """
        with TemporaryDirectory(dir=self._trial) as folder:
            return self._plan(job, replace(job, folder=SlideFolder(Path(folder) / job.id)))

    def _plan(self, job: Job, trial: Job) -> Plan:
        """Return the plan for ``job`` by working in the folder of ``trial``."""
        began = time.perf_counter()
        with open_slide(job.slide, job.config.slide, job.config.limits) as slide:
            frame = slide.info.frame(job.card.mpp)
            grid = grid_for(job, frame)
            tissue = find_tissue(slide, job.config.tissue, job.config.artefacts)
            tiles = grid.touching(tissue, frame)
            source = pixel_source(trial, slide, frame, tissue)
            found_s = time.perf_counter() - began
            if not tiles:
                return self._told(job, tissue.area_mm2, 0, found_s, 0.0, _OTHER_FILE_BYTES)
            empty = _size(trial.folder.tiles)
            task = predict_tiles(trial, source, InstanceStore.open(trial.folder.instances, "of a plan"))
            seen = self._look(trial, task, tiles)
            store = TileStore.open(None, slide, frame, job.config.store)
            needed = _decoded(store, tiles, source.store is not None)
            timed, stored = (store.count(_boxes(some)).needed for some in (seen.timed, seen.tiles))
        batches = math.ceil(len(tiles) / job.batch_tiles)
        busy = seen.chunk_seconds / timed * needed
        busy += seen.tile_seconds / _pixels(map(task.shown, seen.timed)) * _pixels(map(task.shown, tiles))
        looked_at = _pixels(_boxes(seen.tiles))
        cells = seen.cells / looked_at * _pixels(tile.core for tile in tiles)
        seconds = found_s + busy / batches * math.ceil(batches / self.workers)
        disk = _OTHER_FILE_BYTES + cells * _CELL_FILE_BYTES
        disk += _size(trial.folder.instances) / looked_at * _pixels(_boxes(tiles))
        if source.store is not None:
            disk += empty + (_size(trial.folder.tiles) - empty) / stored * needed
        return self._told(job, tissue.area_mm2, len(tiles), seconds, cells, disk)

    def _told(self, job: Job, tissue_mm2: float, tiles: int, seconds: float, cells: float, disk: float) -> Plan:
        """Return the plan for a slide whose tissue and tiles take ``seconds``."""
        own, behind = peak_bytes(), _FINISH_S + cells * _OWN_CELL_S
        return Plan(
            id=job.id,
            tissue_mm2=tissue_mm2,
            tiles=tiles,
            seconds=seconds + cells * _WORKERS_CELL_S / self.workers + behind,
            behind_seconds=behind,
            disk_bytes=disk,
            cells=cells,
            worker_bytes=max(self._worker_bytes, default=None),
            own_bytes=None if own is None else own + round(cells * _CELL_BYTES),
        )

    def _look(self, trial: Job, predict: PredictTiles, tiles: Sequence[Tile]) -> _Seen:
        """Have some of ``tiles`` analysed and return what was seen; the first slide's first tiles warm the workers."""
        began = time.perf_counter()  # counting the workers waits for them
        task, workers, seen = ProbeTiles(predict), self._engine.workers, _Seen()
        batches = _spread(tiles, trial.batch_tiles, (_BATCHES_PER_WORKER + (not self._warm)) * workers)
        if not self._warm:
            self._engine.each(task, batches[:workers], seen.take)
            self.start_seconds += time.perf_counter() - began - seen.seconds / min(workers, len(batches))
            self._warm, batches = True, batches[workers:]
            if batches:
                seen.time_from_now()
        self._engine.each(task, batches, seen.take)
        if not seen.timed:
            raise SlideError(f"none of the tiles that were tried can be analysed: {seen.error}")
        self._worker_bytes += seen.peaks
        return seen

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._owned.close()


def _runs_here(spec: EngineSpec) -> bool:
    """Return whether a run would start its workers on this machine, for itself alone."""
    if spec.cluster.endswith((".yaml", ".yml")):
        return read_cluster_file(Path(spec.cluster)).kind == "local"
    return spec.cluster in ("serial", "local")


class _Seen:
    """What came of the tiles that were looked at."""

    def __init__(self) -> None:
        self.tiles: list[Tile] = []
        """Those that could be analysed."""
        self.timed: list[Tile] = []
        """Those of them whose time counts."""
        self.cells = 0
        self.peaks: list[int] = []
        self.error: str | None = None
        self._spent: dict[str, Spent] = {}

    def take(self, _: tuple[Tile, ...], probed: Probed) -> None:
        """Add a batch."""
        for outcome in probed.outcomes:
            self._spent = summed(self._spent, outcome.spent)
            if outcome.error is not None:
                self.error = outcome.error
                continue
            self.tiles.append(outcome.tile)
            self.timed.append(outcome.tile)
            self.cells += outcome.cells
        if probed.peak_bytes is not None:
            self.peaks.append(probed.peak_bytes)

    def time_from_now(self) -> None:
        """Forget the time of what was taken so far."""
        self.timed, self._spent = [], {}

    @property
    def chunk_seconds(self) -> float:
        """What the workers spent on pixels."""
        return self._of("decode", "store")

    @property
    def tile_seconds(self) -> float:
        """What they spent on all that comes after."""
        return self._of("infer", "post", "save")

    @property
    def seconds(self) -> float:
        """Both."""
        return self.chunk_seconds + self.tile_seconds

    def _of(self, *stages: str) -> float:
        return sum(self._spent.get(stage, NOTHING).seconds for stage in stages)


def _spread(tiles: Sequence[Tile], batch: int, most: int) -> list[tuple[Tile, ...]]:
    """Return at most ``most`` batches of tiles from all over ``tiles``; any few of the first come from all over too."""
    count = min(len(tiles), most * batch)
    chosen = [tiles[(2 * index + 1) * len(tiles) // (2 * count)] for index in range(count)]
    batches = [tuple(chosen[start : start + batch]) for start in range(0, count, batch)]
    return [*batches[1::2], *batches[::2]]


def _boxes(tiles: Iterable[Tile]) -> list[Box]:
    return [tile.read for tile in tiles]


def _pixels(boxes: Iterable[Box]) -> int:
    return sum(box.area for box in boxes)


def _decoded(store: TileStore, tiles: Sequence[Tile], kept: bool) -> int:
    """Return how many chunks a run decodes: each once where they are ``kept``, else what a tile does not share."""
    if kept:
        return store.count(_boxes(tiles)).needed
    first = store.count(_boxes(tiles[:1])).needed
    return first + sum(
        store.count(_boxes(pair)).needed - store.count(_boxes(pair[:1])).needed for pair in pairwise(tiles)
    )


def _size(folder: Path) -> int:
    """Return the bytes of all files below ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
