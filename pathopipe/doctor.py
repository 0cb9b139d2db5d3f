"""Checks that a machine has what a run needs, each done for real."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from pathopipe.errors import PathopipeError

_ENOUGH_MEMORY = 4e9
_ENOUGH_DISK = 10e9


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check."""

    what: str
    ok: bool
    found: str
    cure: str = ""


def checkup() -> Iterator[Finding]:
    """Yield a finding a check, the quick ones first."""
    yield Finding("Python", sys.version_info >= (3, 11), sys.version.split()[0], "install Python 3.11 or newer")
    for package in ("openslide-python", "tiffslide", "torch", "zarr", "distributed", "shapely", "pyarrow"):
        yield _package(package)
    yield _openslide()
    yield _memory()
    yield _disk()
    yield _gpu()
    yield _model()


def _package(name: str) -> Finding:
    try:
        return Finding(name, True, version(name))
    except PackageNotFoundError:
        return Finding(name, False, "missing", f"pip install {name}")


def _openslide() -> Finding:
    """Open a slide drawn here: the C library has to load, not only its Python side."""
    from pathopipe.slide.base import SlideSpec
    from pathopipe.slide.open import open_slide
    from pathopipe.synth.slide import draw_slide
    from pathopipe.synth.spec import SynthSpec

    with tempfile.TemporaryDirectory() as folder:
        try:
            slide = draw_slide(Path(folder) / "drawn.svs", SynthSpec(width=1000, height=1000)).slide
            with open_slide(str(slide), SlideSpec(reader="openslide")) as opened:
                return Finding("OpenSlide", True, f"opens a drawn {opened.info.vendor} slide")
        except (PathopipeError, ImportError, OSError) as error:
            return Finding("OpenSlide", False, str(error), "pip install openslide-bin")


def _memory() -> Finding:
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError, AttributeError):
        return Finding("memory", True, "unknown")
    cores = os.cpu_count() or 1
    return Finding(
        "memory",
        total >= _ENOUGH_MEMORY,
        f"{total / 1e9:.1f} GB for {cores} cores",
        "run with fewer workers (--workers 1) or smaller tiles (--set grid.tile_px=512)",
    )


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free
    return Finding("disk", free >= _ENOUGH_DISK, f"{free / 1e9:.0f} GB free here", "use --set store.keep=false")


def _gpu() -> Finding:
    from pathopipe.models.device import visible_gpus

    gpus = visible_gpus("auto")
    return Finding("GPU", True, f"{len(gpus)} usable" if gpus else "none; the CPU is used")


def _model() -> Finding:
    from pathopipe.models.base import ModelSpec
    from pathopipe.models.load import load_predictor

    try:
        predictor = load_predictor(ModelSpec())
        tile = np.full((1, 1024, 1024, 3), 255, np.uint8)
        predictor.predict(tile)
        began = time.perf_counter()
        predictor.predict(tile)
        took = time.perf_counter() - began
    except (PathopipeError, ImportError, OSError) as error:
        return Finding("model", False, str(error), "reinstall pathopipe")
    return Finding("model", True, f"{predictor.card.name}: {took:.2f} s for a tile of 1024 × 1024 px")
