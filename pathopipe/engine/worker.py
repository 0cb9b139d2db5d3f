"""What a worker process keeps open between tasks: one slide with its tiles, and one model.

Handles and weights never travel: a task names them, and the worker opens its own the first time. Only the latest
of each is kept, since a run goes through its slides one by one.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2

from pathopipe.engine.heap import keep_freed_memory
from pathopipe.errors import SlideError
from pathopipe.geometry import Frame
from pathopipe.models.base import ModelSpec, Predictor
from pathopipe.models.load import load_predictor
from pathopipe.slide.base import SlideSpec
from pathopipe.slide.open import open_slide
from pathopipe.store.instances import InstanceStore
from pathopipe.store.spec import StoreSpec
from pathopipe.store.tiles import TileStore


@dataclass(frozen=True)
class PixelSource:
    """Where a worker gets a slide's tiles: specs and absolute paths, never pixels or handles."""

    slide: str
    identity: str
    """The slide's, so that a worker which lives longer than a run notices that the file was replaced."""
    slide_spec: SlideSpec
    frame: Frame
    store: Path | None
    """The ``tiles.zarr`` folder, or None where pixels are not kept."""
    store_spec: StoreSpec


_open: tuple[int, PixelSource, TileStore] | None = None


def open_tiles(source: PixelSource) -> TileStore:
    """Return this process's tile store of ``source``, opening slide and store on first use.

    Raises
    ------
    SlideError
        If this process finds another file at the slide's path than the run was planned with.
    """
    global _open
    # The process id: a handle inherited through a fork must not be shared with the parent.
    if _open and _open[:2] == (os.getpid(), source):
        return _open[2]
    if _open and _open[0] == os.getpid():
        _open[2].close()
    _open = None
    cv2.setNumThreads(1)  # a worker has one core; OpenCV would start a thread a core of the machine
    slide = open_slide(source.slide, source.slide_spec, limits=None)  # the run itself has checked them
    if slide.info.identity != source.identity:
        slide.close()
        raise SlideError(f"{source.slide} is not the file that the run began with: it was replaced; run again")
    _open = (os.getpid(), source, TileStore.open(source.store, slide, source.frame, source.store_spec))
    return _open[2]


def reopen_tiles(source: PixelSource) -> TileStore:
    """Return a tile store of ``source`` that shares nothing with the one before: neither handles nor pixels.

    Raises
    ------
    SlideError
        As :func:`open_tiles`.
    """
    global _open
    if _open and _open[0] == os.getpid():
        _open[2].close()
    _open = None
    return open_tiles(source)


@lru_cache(maxsize=1)
def open_predictor(spec: ModelSpec) -> Predictor:
    """Return this process's model of ``spec``, loading it on first use."""
    keep_freed_memory()
    return load_predictor(spec)


@lru_cache(maxsize=1)
def open_instances(folder: Path, fingerprint: str) -> InstanceStore:
    """Return this process's view of the instance folder."""
    return InstanceStore(folder, fingerprint)
