"""Many slides, one after the other: whatever happens to one, all the others are done."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar

from pathopipe import __version__
from pathopipe.anonymity import check_folder, shown_command, shown_settings
from pathopipe.batch.behind import Behind, Check
from pathopipe.batch.folders import absolute, claimed, folder_for
from pathopipe.batch.holding import hold, turn
from pathopipe.batch.rounds import apart, join, leave
from pathopipe.batch.shards import Shard
from pathopipe.batch.summary import read_summary, summary_row, write_summary
from pathopipe.config import Config
from pathopipe.engine.base import Executor
from pathopipe.engine.fitness import fit_workers
from pathopipe.errors import ClusterError, OutputDiskError, PathopipeError, StoreError, one_line
from pathopipe.files import clear_temporary, is_disks, unwritable, write_json, write_text
from pathopipe.finish import finish_slide
from pathopipe.job import Begun, Job
from pathopipe.layout import LOCK, RUN, SlideFolder
from pathopipe.models.arithmetic import Arithmetic, meaning
from pathopipe.models.base import ModelCard
from pathopipe.pipeline import begin_slide, tile_slide
from pathopipe.progress import Progress
from pathopipe.record import Clock, Record
from pathopipe.report.page import write_report
from pathopipe.slide.find import FoundSlide, FoundSlides
from pathopipe.traces import trace_of

Done = TypeVar("Done")


@dataclass(frozen=True, slots=True)
class BatchResult:
    """What became of the slides of one run."""

    records: tuple[Record, ...]
    """One a slide, in the order worked on."""
    unchanged: int
    """Slides that were complete before and had nothing to be done."""

    @property
    def all_complete(self) -> bool:
        """Whether every slide is complete."""
        return all(record.status in ("complete", "skipped") for record in self.records)

    def count(self, status: str) -> int:
        """Return how many slides have ``status``."""
        return sum(record.status == status for record in self.records)


def run_batch(
    found: FoundSlides,
    out: Path,
    config: Config,
    card: ModelCard,
    engine: Executor,
    progress: Progress,
    command: Sequence[str],
    shard: Shard | None = None,
) -> BatchResult:
    """Analyse the slides that were found into ``out``.

    Whatever goes wrong with a slide is written into its record, its row of the summary and its ``error.log``, and the
    next slide is begun.

    Parameters
    ----------
    found : FoundSlides
        The slides, and what was passed over.
    out : Path
        The output folder; created if need be.
    config, card, engine, progress
        As for :func:`pathopipe.pipeline.begin_slide`.
    command : sequence of str
        The command line, for ``run.json``.
    shard : Shard, optional
        The part of the slides to do, while other processes do the others; None does all.

    Returns
    -------
    BatchResult
        One record a slide.

    Raises
    ------
    OutputInUseError
        If another run is writing to ``out``.
    OutputDiskError, ClusterError
        If the run cannot go on, with any slide; it says what is not finished.
    ConfigError
        If ``out`` holds results under names and pseudonyms are asked for, or the other way round.
    """
    out, config = _make(out), _wherever_workers_are(config)
    entries = (shard.part_of(found) if shard else found).slides
    paths = [absolute(entry.path) for entry in entries]
    with hold(out, shard), fit_workers(engine, paths, out, config.model, card.sha256, progress.say) as arithmetics:
        with turn(out):
            clear_temporary(out)
            check_folder(out, found.key_id)
            rows = {row["id"]: row for row in read_summary(out)}
            about = _about(found, config, card, command) | {"arithmetic": arithmetics[0]}
            about = join(out, about, found, shard) if shard else about
            write_json(out / RUN, about)
        if shard and (doubt := apart(about, shard)):
            progress.say(f"warning: {doubt}")
        slides = _Slides(out, rows, engine, progress)
        with Behind() as behind:
            for number, entry in enumerate(entries, 1):
                progress.slide(number, len(entries), entry.id)
                try:
                    folder = claimed(out, entry) if shard else folder_for(out, entry)
                    slides.work(job_for(folder, entry, config, card, arithmetics), behind, last=number == len(entries))
                except (OutputDiskError, ClusterError) as error:
                    with suppress(OutputDiskError, ClusterError):
                        behind.settle()
                    left = entries[len(slides.records) :]
                    raise _stopped(error, out, [each.id for each in left], len(entries)) from error
        with turn(out):
            write_json(out / RUN, leave(out, about, shard, _now()) if shard else about | {"finished": _now()})
            write_report(out)
    return BatchResult(tuple(slides.records), slides.unchanged)


def run_tiling(
    found: FoundSlides,
    out: Path,
    config: Config,
    card: ModelCard,
    engine: Executor,
    progress: Progress,
    shard: Shard | None = None,
) -> int:
    """Store the tiles of the slides that were found, at the model's resolution; return how many slides failed.

    Raises
    ------
    OutputInUseError
        If another run is writing to ``out``.
    """
    out, config = _make(out), _wherever_workers_are(config)
    failed, entries = 0, (shard.part_of(found) if shard else found).slides
    paths = [absolute(entry.path) for entry in entries]
    plain = meaning(config.model, "float32")  # nothing is computed: workers of all kinds will do
    with hold(out, shard), fit_workers(engine, paths, out, plain, card.sha256, progress.say):
        check_folder(out, found.key_id)
        for number, entry in enumerate(entries, 1):
            progress.slide(number, len(entries), entry.id)
            folder = claimed(out, entry) if shard else folder_for(out, entry)
            job = job_for(folder, entry, config, card)
            failed += _survive(partial(tile_slide, job, engine, progress), job, progress).status == "failed"
    return failed


def _wherever_workers_are(config: Config) -> Config:
    """Return ``config`` with the absolute path of a model file: workers may have been started elsewhere."""
    name = config.model.name
    if Path(name).suffix != ".safetensors":
        return config
    return config.model_copy(update={"model": config.model.model_copy(update={"name": str(Path(name).absolute())})})


def _make(out: Path) -> Path:
    """Make the output folder and return its absolute path.

    Raises
    ------
    StoreError
        If it cannot be made or written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        open(out / LOCK, "a+b").close()
    except OSError as error:
        raise unwritable(out, error) from error
    return out.absolute()


class _Slides:
    """The slides of a run, one after the other, and what became of them."""

    def __init__(self, out: Path, rows: dict[str, dict[str, str]], engine: Executor, progress: Progress) -> None:
        self.records: list[Record] = []
        """Of those that are finished, in the order worked on."""
        self.unchanged, self._out, self._rows, self._engine, self._progress = 0, out, rows, engine, progress

    def work(self, job: Job, behind: Behind, *, last: bool) -> None:
        """Analyse a slide; where workers are beside this process and have another to do, it is finished ``behind``."""
        before, clock = Record.load(job.folder), Clock(self._progress, behind.check)
        begun = _survive(partial(begin_slide, job, self._engine, clock), job, self._progress)
        behind.settle()  # one slide is finished at a time, in order
        if last or not self._engine.beside or isinstance(begun, Record):
            self._finish(job, before, begun, self._progress)
            return
        told = self._progress.behind()

        def finish(check: Check) -> None:
            clock.check = check
            with told as clock.progress:
                self._finish(job, before, begun, told)

        behind.do(finish)

    def _finish(self, job: Job, before: Record | None, begun: Begun | Record, progress: Progress) -> None:
        finish = partial(finish_slide, engine=self._engine)
        record = _survive(partial(finish, begun), job, progress) if isinstance(begun, Begun) else begun
        if record.status == "complete":
            job.folder.log.unlink(missing_ok=True)
        record, row = _with_row(record, job.folder)
        _add_row(self._out, self._rows, row)
        self.unchanged += record == before
        self.records.append(record)


def _survive(work: Callable[[], Done], job: Job, progress: Progress) -> Done | Record:
    try:
        return work()
    except (OutputDiskError, ClusterError):
        raise  # every other slide would fail on it too
    except Exception as error:  # the one place where anything may be caught: the next slide must go on
        if isinstance(error, OSError) and is_disks(error):
            raise unwritable(job.folder.path, error) from error
        record = Record(job.id, job.slide, "failed", one_line(error)).save(job.folder)
        progress.say(f"failed: {record.error}")
        log = trace_of(error)
        write_text(job.folder.log, job.folder.veil.over(log) if job.folder.veil else log)
        return record


def _with_row(record: Record, folder: SlideFolder) -> tuple[Record, dict[str, str]]:
    """Return the record and its row of the summary; it failed if its scores were damaged since."""
    try:
        return record, summary_row(record, folder)
    except StoreError as error:
        record = Record(record.id, record.slide, "failed", str(error)).save(folder)
        return record, summary_row(record, folder)


def _stopped(error: PathopipeError, out: Path, left: Sequence[str], total: int) -> PathopipeError:
    """Return the error of a run that cannot go on; what is done stays, and the report tells of it where it can."""
    with suppress(OSError), turn(out):
        write_report(out)
    listed = ", ".join(left[:10]) + (f" and {len(left) - 10} more" if len(left) > 10 else "")
    return type(error)(
        f"the run stopped: {error}. {len(left)} of {total} slides are not finished: {listed}. What is done is kept: "
        "when this is mended, run the same command again"
    )


def job_for(
    folder: SlideFolder, entry: FoundSlide, config: Config, card: ModelCard, arithmetics: tuple[Arithmetic, ...] = ()
) -> Job:
    """Return the job of one slide; its own mpp, where the manifest gives one, outranks all others."""
    if entry.mpp is not None:
        config = config.model_copy(update={"slide": config.slide.model_copy(update={"mpp": entry.mpp})})
    return Job(folder.path.name, absolute(entry.path), folder, config, card, config.model.batch_tiles, arithmetics)


def _add_row(out: Path, rows: dict[str, dict[str, str]], row: dict[str, str]) -> None:
    """Write the summary with ``row``, and with those that other shards have written since."""
    with turn(out):
        with suppress(StoreError):  # of a file that somebody spoilt meanwhile, what is known goes on
            rows |= {each["id"]: each for each in read_summary(out)}
        rows[row["id"]] = row
        write_summary(out, rows.values())


def _about(found: FoundSlides, config: Config, card: ModelCard, command: Sequence[str]) -> dict[str, Any]:
    packages = ("torch", "numpy", "zarr", "dask", "distributed", "openslide-python", "shapely", "pyarrow")
    settings = config.model_dump(mode="json")
    return {
        "command": shown_command(command) if found.key_id else list(command),
        "anonymous": found.key_id,
        "started": _now(),
        "finished": None,
        "config": shown_settings(settings) if found.key_id else settings,
        "model": {"name": card.name, "version": card.version, "sha256": card.sha256},
        "versions": {"pathopipe": __version__, "python": platform.python_version()}
        | {package: version(package) for package in packages},
        "machine": {
            "system": f"{platform.system()} {platform.release()}",
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
        "slides": {"found": len(found.slides), "ignored": dict(found.ignored)},
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
