"""``slide.json``: what was read from a slide, what was done with it, and what that depended on."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields, replace
from itertools import islice
from typing import Any, Literal, Self, TypeVar

from pydantic import TypeAdapter, ValidationError

from pathopipe.bottleneck import bottleneck
from pathopipe.config import Config
from pathopipe.files import holds_seal, read_json, seal, sync_folder, write_json
from pathopipe.geometry import Frame
from pathopipe.layout import SlideFolder
from pathopipe.models.arithmetic import Arithmetic, admitted
from pathopipe.models.base import ModelCard
from pathopipe.progress import Progress
from pathopipe.slide.base import SlideInfo
from pathopipe.spec import fingerprint
from pathopipe.stopwatch import NOTHING, Spent, summed
from pathopipe.tiling.grid import TileGrid
from pathopipe.veil import Veil

Part = TypeVar("Part")
Status = Literal["complete", "incomplete", "failed", "skipped"]
_COMPARED = {"id", "status", "classes", "model", "fingerprint", "files"}
"""Fields of a record in which no name of a slide can stand, and which a slide called "complete.svs" must not change."""

WORKER_STAGES = ("open", "decode", "store", "wait", "infer", "post", "save", "other", "idle")
"""What workers spend their time on: opening slide and model, decoding the slide, keeping its pixels and finding them
again, waiting for the next tiles or for another worker's, the network, making outlines of what it says, writing the
tile's file, writing cells of the slide before; and having nothing to do while the first start and the last finish."""

# Raised whenever the code changes what comes out of the same input: results of older versions are then redone.
_INSTANCES_VERSION = 6
_RESULTS_VERSION = 6


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Digests of everything that a stage's output depends on, and of nothing else."""

    instances: str
    """The instance files: slide, resolution, grid and model."""
    results: str
    """Layers and scores: the same, and the settings of tissue, artefacts, stitch and annotations."""

    @classmethod
    def in_each(
        cls, info: SlideInfo, frame: Frame, grid: TileGrid, card: ModelCard, config: Config
    ) -> dict[Arithmetic, Self]:
        """Return the digests for a slide as it is now, by what the settings leave open to compute in."""
        return {word: cls.of(info, frame, grid, card, config, word) for word in admitted(config.model)}

    @classmethod
    def of(
        cls, info: SlideInfo, frame: Frame, grid: TileGrid, card: ModelCard, config: Config, arithmetic: Arithmetic
    ) -> Self:
        """Return the digests for a slide as it is now, computed in ``arithmetic``."""
        instances = fingerprint(
            {
                "version": _INSTANCES_VERSION,
                "slide": info.identity,
                "reader": info.reader,
                "frame": asdict(frame),
                "chunk_px": config.store.chunk_px,  # where chunks begin decides how pixels between levels are averaged
                "core_px": grid.core_px,
                "halo_px": grid.halo_px,
                "model": card.sha256,
                "arithmetic": arithmetic,
                "min_score": config.model.min_score,
            }
        )
        results = fingerprint(
            {
                "version": _RESULTS_VERSION,
                "instances": instances,
                "tissue": config.tissue.model_dump(mode="json"),
                "artefacts": config.artefacts.model_dump(mode="json"),
                "stitch": config.stitch.model_dump(mode="json"),
                "annotations": config.annotations.model_dump(mode="json"),
                "scale_check": config.scale_check.model_dump(mode="json"),
            }
        )
        return cls(instances, results)


@dataclass(frozen=True)
class Record:
    """One slide's outcome; the content of ``slide.json`` and the source of its row in ``summary.csv``."""

    id: str
    """Name of the slide's folder."""
    slide: str
    """Path or URL of the slide."""
    status: Status
    error: str | None = None
    """Why the slide failed or is incomplete, in one line."""
    info: dict[str, Any] = field(default_factory=dict)
    """Facts read from the slide (slide.describe)."""
    mpp: float | None = None
    """µm per level-0 pixel (mean of x and y)."""
    mpp_source: str | None = None
    tissue_mm2: float | None = None
    """Area of the tissue without artefacts."""
    artefact_mm2: dict[str, float] = field(default_factory=dict)
    """Area that looked like tissue and was masked, by kind of artefact (tiling.artefacts)."""
    analysed_mm2: float | None = None
    """Tissue without the tiles that failed: the denominator of densities."""
    tiles: int | None = None
    """Tiles that touch tissue."""
    tiles_failed: list[dict[str, Any]] = field(default_factory=list)
    """Name, box (working pixels) and error of each."""
    mm2_lost: float | None = None
    """Tissue in the tiles that failed."""
    cells: int | None = None
    cells_dropped: int = 0
    """Cells whose outline could not be made valid, so that they are in no file."""
    cells_not_nuclei: dict[str, int] = field(default_factory=dict)
    """Cells in the tissue that were left out for their colour, by what they are (models.impostors)."""
    classes: list[str] = field(default_factory=list)
    """Class names in the model's order."""
    remarks: list[str] = field(default_factory=list)
    """What makes the result doubtful, a sentence each; ``info["unusual"]`` tells of the slide itself."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Time that a stage of the latest run took, by the clock, in the order worked; workers are busy during "cells"."""
    workers: int | None = None
    """How many worked on the tiles; None where there was nothing left for them to do."""
    worker_seconds: dict[str, float] = field(default_factory=dict)
    """What the workers spent on each of their stages (``WORKER_STAGES``), by the clock and all of them together."""
    worker_cpu_seconds: dict[str, float] = field(default_factory=dict)
    """The same in seconds of a processor: less where they waited for disk, network, GPU or other programs."""
    bottleneck: str = ""
    """What took most of the time, and what would help, in one sentence."""
    model: dict[str, str] = field(default_factory=dict)
    """Name, version, SHA-256, and what it was computed in ("arithmetic")."""
    fingerprint: dict[str, str] = field(default_factory=dict)
    files: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Name to size, time and SHA-256 of each file that was made (files.seal): what is there later has to match."""
    modified_ns: int | None = None
    """When the slide's file was last changed; told where not all of it could be read, to see whether it is repaired."""

    @classmethod
    def load(cls, folder: SlideFolder) -> Self | None:
        """Return the record in ``folder``, or None where there is none that this version can read."""
        values = read_json(folder.record)
        names = {each.name for each in fields(cls)}
        if values is None or not {"id", "slide", "status"} <= values.keys() <= names:
            return None
        try:
            return TypeAdapter(cls).validate_python(values)
        except ValidationError:
            return None

    @classmethod
    def begun(cls, name: str, slide: str) -> Self:
        """Return the record of a slide that is being worked on: what stands there if the run is killed."""
        return cls(name, slide, "incomplete", "not finished: run the same command again to go on")

    def save(self, folder: SlideFolder) -> Self:
        """Write the record, the last step, which says that all else is whole; return it as it is written."""
        folder.path.mkdir(parents=True, exist_ok=True)
        record = self._veiled(folder.veil) if folder.veil else self
        sync_folder(folder.path)  # the record must not outlive the names of what it tells of
        write_json(folder.record, asdict(record))
        sync_folder(folder.path)
        return record

    def _veiled(self, veil: Veil) -> Self:
        """Return the record without the slide's names in its texts; what other code compares stays as it is."""
        told = {each.name for each in fields(self)} - _COMPARED
        return replace(self, **{name: veil.over(getattr(self, name)) for name in told})

    def sealed(self, folder: SlideFolder) -> Self:
        """Return the record with what the files of ``folder`` will be known by, all of which are there."""
        return replace(self, files={path.name: seal(path) for path in folder.results})

    def holds(self, prints: Fingerprints, folder: SlideFolder) -> bool:
        """Return whether the slide is complete, made from the very same things, and its files are those made of it."""
        if self.status != "complete" or self.fingerprint != asdict(prints):
            return False
        return all(holds_seal(path, self.files.get(path.name)) for path in folder.results)

    def repaired(self, modified_ns: int | None) -> bool:
        """Return whether something could not be read, and the slide's file was changed since.

        Its identity tells of a part of its bytes alone, so it may be the same for the file with its fault repaired.
        """
        return None not in (self.modified_ns, modified_ns) and self.modified_ns != modified_ns


class Clock:
    """Times the stages of a slide, tells the progress of them, and ends them where something beside them says so.

    Parameters
    ----------
    progress : Progress
        Told of each stage.
    check : callable, optional
        Called with each stage, part and tile; what it raises ends the work on the slide.
    """

    def __init__(self, progress: Progress, check: Callable[[], object] = bool) -> None:
        self.seconds: dict[str, float] = {}
        self.progress = progress
        self.check = check
        self._worked: dict[str, Spent] = {}
        self._began = time.perf_counter()

    @contextmanager
    def stage(self, name: str, total: int = 0, done: int = 0) -> Iterator[None]:
        """Add the time of the block to stage ``name``; what passes before the first one is "open"."""
        self.check()
        self.progress.stage(name, total, done)
        began = time.perf_counter()
        self.seconds.setdefault("open", round(began - self._began, 3))
        try:
            yield
        finally:
            took = self.seconds.get(name, 0.0) + time.perf_counter() - began
            self.seconds[name] = round(took, 3)

    def apart(self, name: str, parts: Iterator[Part], taker: str) -> Iterator[Part]:
        """Yield ``parts``; the time to make them counts for stage ``name``, and not for ``taker``, which asks."""
        took, ended = 0.0, False
        while not ended:
            self.check()
            began = time.perf_counter()
            made = list(islice(parts, 1))
            took += time.perf_counter() - began
            yield from made
            ended = not made
        self.seconds[name] = round(self.seconds.get(name, 0.0) + took, 3)
        self.seconds[taker] = self.seconds.get(taker, 0.0) - took

    def worked(self, spent: Mapping[str, Spent]) -> None:
        """Add what a worker spent on its stages."""
        self.check()
        self._worked = summed(self._worked, spent)

    def told(self, workers: int, gpu: bool) -> dict[str, Any]:
        """Return the fields of :class:`Record` that tell of time."""
        told: dict[str, Any] = {"seconds": self.seconds}
        worked = _with_idle(self._worked, workers * self.seconds.get("cells", 0.0)) if self._worked else {}
        if worked:
            told["workers"] = workers
            told["worker_seconds"] = {stage: round(spent.seconds, 3) for stage, spent in worked.items()}
            told["worker_cpu_seconds"] = {
                stage: round(spent.cpu_seconds, 3) for stage, spent in worked.items() if stage not in ("wait", "idle")
            }
        return told | {"bottleneck": bottleneck(self.seconds, worked, workers, gpu)}


def _with_idle(worked: Mapping[str, Spent], available_s: float) -> dict[str, Spent]:
    """Return ``worked`` in the order of the stages, with the rest of the workers' ``available_s`` as "idle".

    A worker that outlives a run may have waited between two: more than there was cannot have been.
    """
    busy = sum(spent.seconds for stage, spent in worked.items() if stage != "wait")
    waited = min(worked.get("wait", NOTHING).seconds, max(0.0, available_s - busy))
    idle = max(0.0, available_s - busy - waited)
    given = {**worked, "wait": Spent(waited, 0.0), "idle": Spent(idle, 0.0)}
    order = [*(stage for stage in WORKER_STAGES if stage in given), *sorted(given.keys() - set(WORKER_STAGES))]
    return {stage: given[stage] for stage in order}
