"""Whether a worker is fit for a run: has the same code and model, and sees the same files.

A worker that is not would fail on every tile, or write results that differ from the others': it is found out before it
gets its first tile, and named. Workers that this machine starts for itself need no check.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathopipe.engine.accord import cure
from pathopipe.engine.base import Executor
from pathopipe.engine.needs import Needs, probe, probe_name, size_of, versions
from pathopipe.errors import ClusterError, ConfigError, PathopipeError
from pathopipe.models.arithmetic import Arithmetic, meaning, offered
from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_card

if TYPE_CHECKING:
    from distributed import Worker

_PATIENCE_S = 5.0
"""How long a shared file system may take to show a new file."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a worker has that others may have in another way."""

    torch: str | None
    """Its version."""
    arithmetics: tuple[Arithmetic, ...]
    """What it can compute in, the fastest first; none if not as the settings say."""


def abilities(model: ModelSpec) -> Abilities:
    """Return, on a worker, what it has to run ``model`` with."""
    try:
        arithmetics = offered(model)
    except ConfigError:
        arithmetics = ()  # the examination tells why
    return Abilities(dict(versions())["torch"], arithmetics)


_fit_for: set[str] = set()
"""Runs that this process was found fit for."""


async def examine(needs: Needs, dask_worker: Worker) -> tuple[str, ...]:
    """Return, on a worker, what keeps it from the run that has ``needs``; nothing if it is fit."""
    state = dask_worker.state
    threads = (f"works with {state.nthreads} threads: start it with --nthreads 1, and more workers instead",)
    # In a thread of its own: a file system that hangs must not hide the worker from its scheduler.
    found = (*(threads if state.nthreads != 1 else ()), *await asyncio.to_thread(complaints, needs))
    if not found:
        _fit_for.add(needs.run)
    return found


def complaints(needs: Needs) -> tuple[str, ...]:
    """Return what this process lacks of ``needs``, a sentence each."""
    other = [
        f"has {name} {theirs or 'not at all'}, others have {ours}: install the same"
        for (name, ours), (_, theirs) in zip(needs.versions, versions(), strict=True)
        if ours != theirs
    ]
    return (*other, *_model(needs), *_arithmetic(needs), *_output(needs), *_slides(needs))


def _model(needs: Needs) -> Iterator[str]:
    try:
        if load_card(needs.model).sha256 != needs.sha256:
            yield f"reads another model at {needs.model.name}: copy the file there"
    except PathopipeError as error:
        yield str(error)


def _arithmetic(needs: Needs) -> Iterator[str]:
    try:
        offered(meaning(needs.model, needs.arithmetic) if needs.arithmetic else needs.model)
    except ConfigError as error:
        yield (
            f"cannot compute in {needs.arithmetic} as the others do: {cure(needs.arithmetic)}"
            if needs.arithmetic
            else str(error)
        )


def _output(needs: Needs) -> Iterator[str]:
    probe = needs.out / probe_name(needs.run)
    deadline = time.monotonic() + _PATIENCE_S
    while not probe.is_file() and time.monotonic() < deadline:
        time.sleep(0.2)
    own = probe.with_name(f"{probe.name}-{secrets.token_hex(4)}")
    try:
        if probe.read_text(encoding="ascii") != needs.run:
            yield f"sees another output folder at {needs.out}"
        own.touch()
        own.unlink()
    except FileNotFoundError:
        yield f"does not see the output folder {needs.out}: put it on storage that has this path on all machines"
    except OSError as error:
        yield f"cannot write to the output folder {needs.out}: {error.strerror}"


def _slides(needs: Needs) -> Iterator[str]:
    missing = []
    for path, size in needs.slides:
        try:
            if not os.access(path, os.R_OK):
                missing.append(f"{path} ({'no permission' if os.path.exists(path) else 'not there'})")  # noqa: PTH110
            elif size_of(path) != size:
                missing.append(f"{path} (another file: {size_of(path)} bytes, not {size})")
        except OSError as error:
            missing.append(f"{path} ({error.strerror})")
    if missing:
        more = f" and {len(missing) - 1} more of {len(needs.slides)}" if len(missing) > 1 else ""
        yield f"does not see the slide {missing[0]}{more}: put slides on storage that has one path on all machines"


@dataclass(frozen=True, slots=True)
class Unexamined:
    """What a worker answers instead of a result if it was not examined for the run yet."""

    address: str


@dataclass(frozen=True)
class IfFit:
    """A task that only workers do which were found fit for a run."""

    task: Callable[[Any], Any]
    run: str

    def __call__(self, item: object) -> object:
        """Do the task, or say that this process was not examined."""
        from distributed import get_worker

        return self.task(item) if self.run in _fit_for else Unexamined(get_worker().address)


@contextmanager
def fit_workers(
    engine: Executor, slides: Sequence[str], out: Path, model: ModelSpec, sha256: str, say: Callable[[str], None]
) -> Iterator[tuple[Arithmetic, ...]]:
    """Have the workers of ``engine`` examined for a run over ``slides`` into ``out``, those too that come later.

    Gives what all of them can compute in, the fastest first.

    Raises
    ------
    ClusterError
        If a worker is not fit.
    ConfigError
        If this machine's own workers cannot compute as ``model`` says.
    """
    if not engine.elsewhere:
        yield offered(model)
        return
    with probe(out) as run:
        yield engine.require(Needs.of(run, slides, out, model, sha256), say)


def told(unfit: dict[str, tuple[str, ...]], workers: int) -> ClusterError:
    """Return the error that names the workers of ``unfit`` with what each lacks."""
    lines = [f"worker {name} {'; '.join(lacks)}" for name, lacks in sorted(unfit.items())]
    more = [f"and {len(lines) - 8} more"] if len(lines) > 8 else []
    return ClusterError(f"{len(unfit)} of {workers} workers cannot do this run:\n  " + "\n  ".join(lines[:8] + more))
