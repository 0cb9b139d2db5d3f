"""Whether a worker is fit for a run: has the same code and model, and sees the same files.

A worker that is not would fail on every tile, or write results that differ from the others': it is found out before it
gets its first tile, and named. Workers that this machine starts for itself need no check.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from pathopipe import __version__
from pathopipe.engine.base import Executor
from pathopipe.errors import ClusterError, PathopipeError
from pathopipe.models.base import ModelSpec
from pathopipe.models.device import visible_gpus
from pathopipe.models.load import load_card

if TYPE_CHECKING:
    from distributed import Worker

PACKAGES = (
    "numpy", "scipy", "opencv-python-headless", "shapely", "zarr", "imagecodecs", "tifffile", "tiffslide",
    "openslide-python", "openslide-bin", "dask", "distributed", "torch",
)  # fmt: skip
"""Whose versions decide what comes out, or whether workers and scheduler understand each other."""
_MOST_SLIDES = 500
_PATIENCE_S = 5.0
"""How long a shared file system may take to show a new file."""


@dataclass(frozen=True)
class Needs:
    """What every worker of a run must see and have."""

    run: str
    """A word for this run, by which a worker knows that it was checked for it."""
    slides: tuple[tuple[str, int | None], ...]
    """Path and bytes (None for a folder) of the slides that are there; of very many, some."""
    out: Path
    """The output folder, in which the file ``.probe-<run>`` holds the word."""
    model: ModelSpec
    sha256: str
    """Of the model."""
    versions: tuple[tuple[str, str | None], ...]
    """Of Python, pathopipe and the packages that matter."""

    @classmethod
    def of(cls, run: str, slides: Sequence[str], out: Path, model: ModelSpec, sha256: str) -> Self:
        """Return what a run over ``slides`` (paths, or URLs) needs."""
        local = [path for path in slides if "://" not in path and os.access(path, os.R_OK)]
        step = -(-len(local) // _MOST_SLIDES) or 1
        return cls(run, tuple((path, _size(path)) for path in local[::step]), out, model, sha256, versions())


@cache
def versions() -> tuple[tuple[str, str | None], ...]:
    """Return the versions of what decides a result, as it is installed here; None where it is not."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parents[1].rglob("*.py")):
        digest.update(path.read_bytes())
    own = f"{__version__} (code {digest.hexdigest()[:8]})"
    python = ".".join(platform.python_version_tuple()[:2])
    return (("pathopipe", own), ("Python", python), *((name, _version(name)) for name in PACKAGES))


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _size(path: str) -> int | None:
    status = os.stat(path)  # noqa: PTH116 (a slide's path is a text, as a URL is)
    return None if os.path.isdir(path) else status.st_size  # noqa: PTH112


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
    return (*other, *_model(needs), *_output(needs), *_slides(needs))


def _model(needs: Needs) -> Iterator[str]:
    try:
        if load_card(needs.model).sha256 != needs.sha256:
            yield f"reads another model at {needs.model.name}: copy the file there"
        if needs.model.device == "cuda":
            visible_gpus("cuda")
    except PathopipeError as error:
        yield str(error)


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
            elif _size(path) != size:
                missing.append(f"{path} (another file: {_size(path)} bytes, not {size})")
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


def probe_name(run: str) -> str:
    """Return the name of the file in the output folder by which workers know it."""
    return f".probe-{run}"


@contextmanager
def probe(out: Path) -> Iterator[str]:
    """Put a file into ``out`` for workers to see, and give the word in it, which no other run has."""
    run = secrets.token_hex(8)
    path = out / probe_name(run)
    path.write_text(run, encoding="ascii")
    try:
        yield run
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def fit_workers(
    engine: Executor, slides: Sequence[str], out: Path, model: ModelSpec, sha256: str, say: Callable[[str], None]
) -> Iterator[None]:
    """Have the workers of ``engine`` examined for a run over ``slides`` into ``out``, those too that come later.

    Raises
    ------
    ClusterError
        If a worker is not fit.
    """
    if not engine.elsewhere:
        yield
        return
    with probe(out) as run:
        engine.require(Needs.of(run, slides, out, model, sha256), say)
        yield


def told(unfit: dict[str, tuple[str, ...]], workers: int) -> ClusterError:
    """Return the error that names the workers of ``unfit`` with what each lacks."""
    lines = [f"worker {name} {'; '.join(lacks)}" for name, lacks in sorted(unfit.items())]
    more = [f"and {len(lines) - 8} more"] if len(lines) > 8 else []
    return ClusterError(f"{len(unfit)} of {workers} workers cannot do this run:\n  " + "\n  ".join(lines[:8] + more))
