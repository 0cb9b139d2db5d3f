"""What every worker of a run must see and have: it travels to each, which looks for itself (fitness.py)."""

from __future__ import annotations

import hashlib
import os
import platform
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Self

from pathopipe import __version__
from pathopipe.models.arithmetic import Arithmetic
from pathopipe.models.base import ModelSpec

PACKAGES = (
    "numpy", "scipy", "opencv-python-headless", "shapely", "zarr", "imagecodecs", "tifffile", "tiffslide",
    "openslide-python", "openslide-bin", "dask", "distributed", "torch",
)  # fmt: skip
"""Whose versions decide what comes out, or whether workers and scheduler understand each other."""
_MOST_SLIDES = 500


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
    arithmetic: Arithmetic | None = None
    """What all workers compute in; None as long as they were not asked (accord.py)."""

    @classmethod
    def of(cls, run: str, slides: Sequence[str], out: Path, model: ModelSpec, sha256: str) -> Self:
        """Return what a run over ``slides`` (paths, or URLs) needs."""
        local = [path for path in slides if "://" not in path and os.access(path, os.R_OK)]
        step = -(-len(local) // _MOST_SLIDES) or 1
        return cls(run, tuple((path, size_of(path)) for path in local[::step]), out, model, sha256, versions())


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


def size_of(path: str) -> int | None:
    """Return the bytes of a slide's file; None for a folder."""
    status = os.stat(path)  # noqa: PTH116 (a slide's path is a text, as a URL is)
    return None if os.path.isdir(path) else status.st_size  # noqa: PTH112


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
