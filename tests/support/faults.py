"""Small slides that can be broken and repaired, and runs over them in this process with a model that costs nothing."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile

from pathopipe.batch.run import BatchResult, run_batch
from pathopipe.config import load_config
from pathopipe.engine.base import Executor
from pathopipe.engine.serial import SerialExecutor
from pathopipe.engine.tasks import TileOutcome
from pathopipe.geometry import Outlines
from pathopipe.instances import Instances
from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_card
from pathopipe.progress import Silent
from pathopipe.slide.find import find_slides
from pathopipe.tiling.grid import Tile
from tests.support.drawn_slides import halved, write_svs

SIDE = 768
TILES = 9
SETTINGS = (
    "grid.tile_px=448",
    "store.chunk_px=128",
    "tissue.enabled=false",
    "artefacts.enabled=false",
    "scale_check.enabled=false",
)
"""Cores of 256 px, as large as the JPEG tiles of the slides; everything is analysed."""


def discs(seed: int = 0, side: int = SIDE, noise: int = 0):
    """Return pink pixels with dark discs, which :class:`Dark` finds, changed by up to ``noise``."""
    rng = np.random.default_rng(seed)
    rgb = np.full((side, side, 3), (225, 180, 210), np.uint8)
    for x in range(16, side, 32):
        for y in range(16, side, 32):
            radius = int(rng.integers(4, 9))
            cv2.circle(rgb, (x + int(rng.integers(-3, 4)), y + int(rng.integers(-3, 4))), radius, (70, 40, 110), -1)
    return (rgb + rng.integers(-noise, noise + 1, rgb.shape)).astype(np.uint8)


def draw(path: Path, seed: int = 0, side: int = SIDE, noise: int = 0) -> Path:
    """Write a slide of discs at 0.5 µm per pixel; with noise it is so large that its identity sees only parts of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = discs(seed, side, noise)
    return write_svs(path, [pixels, halved(pixels, 4)], mpp="0.5", power="20")


def break_tile(path: Path, number: int) -> bytes:
    """Make JPEG tile ``number`` (row by row) unreadable; return the file's bytes as they were."""
    whole = path.read_bytes()
    with tifffile.TiffFile(path) as file:
        offset = file.pages[0].dataoffsets[number]
    path.write_bytes(whole[:offset] + b"\0" * 16 + whole[offset + 16 :])
    return whole


OVERVIEW_PX = 200
"""A small picture is as easily spoilt as a large one, and soon written."""


class Dark:
    """Finds what is darker than half; :attr:`fails` is asked first, with each batch."""

    card = load_card(ModelSpec())

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.fails = lambda tiles: None

    def taken(self, patch: pytest.MonkeyPatch) -> Dark:
        """Have every run of this process take this model, and draw small overviews."""
        patch.setattr("pathopipe.engine.tasks.open_predictor", lambda spec: self)
        patch.setattr("pathopipe.report.overview.MAX_PX", OVERVIEW_PX)
        return self

    def predict(self, tiles):
        self.batches.append(len(tiles))
        self.fails(tiles)
        return [self._found(tile) for tile in tiles]

    def _found(self, rgb):
        dark = (rgb.mean(axis=2) < 128).astype(np.uint8)
        rings = [ring[:, 0] + 0.5 for ring in cv2.findContours(dark, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]]
        outlines = Outlines.of(ring.astype(np.float32) for ring in rings if len(ring) > 8)
        count = len(outlines)
        return Instances(outlines, np.ones(count, np.float32), np.zeros(count, np.uint8), ("Nucleus",))


def run(
    out: Path, slides: Sequence[Path] | Path, *settings: str, batch_tiles: int = 1, engine: Executor | None = None
) -> BatchResult:
    """Analyse ``slides`` into ``out`` as the command line does, one tile after the other in this process."""
    config = load_config(None, (*SETTINGS, *settings, f"model.batch_tiles={batch_tiles}"))
    found = find_slides([str(path) for path in ([slides] if isinstance(slides, Path) else slides)])
    return run_batch(found, out, config, Dark.card, engine or SerialExecutor(), Silent(), ["pathopipe", "run"])


def statuses(result: BatchResult) -> dict[str, str]:
    return {record.id: record.status for record in result.records}


@dataclass(frozen=True)
class DeadlyTile:
    """Does ``task``, and ends its process without a word when it comes to the tile called ``name``, each time."""

    task: Callable[[tuple[Tile, ...]], tuple[TileOutcome, ...]]
    name: str
    deaths: Path
    """Gets a byte for each."""

    def __call__(self, tiles: tuple[Tile, ...]) -> tuple[TileOutcome, ...]:
        if any(tile.name == self.name for tile in tiles):
            with open(self.deaths, "ab") as file:
                file.write(b"x")
            os.kill(os.getpid(), signal.SIGKILL)
        return self.task(tiles)
