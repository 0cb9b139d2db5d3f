"""What the tile store costs a first run and saves a second one, in CPU seconds of one thread.

    python benchmarks/store.py [--folder DIR] [--quick] [--data DIR] [--model NAME|FILE]

The pixels are those that a run reads: the model's tiles with their halos, row by row, on drawn slides at 0.25 and at
0.5 µm per pixel, and on a real one where there is one. What is compared takes turns, and the least of several
rounds counts: what else runs on the machine only adds.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import openslide
import torch
import zarr
from drawn import drawn_slide
from rows import Row, main, skipped

from pathopipe.engine.heap import keep_freed_memory
from pathopipe.geometry import Box, Frame, Rect
from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_card, load_predictor
from pathopipe.slide.open import open_slide
from pathopipe.store.spec import StoreSpec
from pathopipe.store.tiles import TileStore
from pathopipe.tiling.grid import GridSpec, TileGrid

SIDE, QUICK_SIDE = 8192, 3072
WIDE = (24576, 8192)
ROUNDS = 3
REAL = Path("slides") / "cmu-1-small-region.svs"
UNIT = "CPU ms a working MP"


@dataclass
class Case:
    """A slide, and the boxes that a run reads of it."""

    name: str
    path: Path
    frame: Frame
    boxes: list[Box]
    level_px: int
    """Side of the level-0 square that a working pixel takes, as OpenSlide's user would read it."""

    @property
    def megapixels(self) -> float:
        """Of all boxes, halos included."""
        return sum(box.area for box in self.boxes) / 1e6


def rows(given: argparse.Namespace) -> Iterator[Row]:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    keep_freed_memory()  # as in workers
    spec = ModelSpec(name=given.model, device="cpu")
    network = cost_of_network(spec)
    yield Row("the network with its post-processing", network * 1e3, UNIT)
    side = QUICK_SIDE if given.quick else SIDE
    fine = drawn_slide(given.folder, side, 0.9)
    yield from of_case(case("drawn slide of 0.25 µm/px, at 0.5", fine, 0.5, spec), given.folder, network)
    same = drawn_slide(given.folder, side // 2, 0.9, mpp=0.5, objective=20.0)
    yield from of_case(case("drawn slide of 0.5 µm/px, at 0.5", same, 0.5, spec), given.folder, network)
    real = Path(given.data) / REAL
    if real.exists():
        yield from of_case(case("real slide of 0.499 µm/px, at its own", real, 0.499, spec), given.folder, network)
    else:
        yield skipped("real slide", f"no {real} (set PATHOPIPE_TEST_DATA)")
    yield from of_wide_slide(spec)


def case(name: str, path: Path, mpp: float, spec: ModelSpec) -> Case:
    """Return the boxes that the model reads of the slide at ``mpp``."""
    card = load_card(spec)
    with open_slide(path) as slide:
        frame = slide.info.frame(mpp)
    grid = TileGrid.cover(frame.width, frame.height, GridSpec(), card.halo_px, card.stride_px)
    boxes = [tile.read.clipped(frame.box) for tile in grid]
    return Case(name, path, frame, boxes, round(frame.scale_x))


def of_case(case: Case, folder: Path, network: float) -> Iterator[Row]:
    """Measure one slide; ``network`` is what the network takes for a megapixel, in CPU seconds."""
    path = folder / "store" / "tiles.zarr"
    spent = least(
        {
            "OpenSlide": lambda: with_openslide(case),
            "no store": lambda: through_store(case, None),
            "first run": lambda: through_store(case, emptied(path)),
            "second run": lambda: through_store(case, path),
            "zarr": lambda: with_zarr(case, path),
        }
    )
    took = {name: seconds / case.megapixels for name, seconds in spent.items()}
    more = (took["first run"] + network) / (took["no store"] + network)
    yield Row(
        f"{case.name}: reading and network, with a store that is filled",
        (took["first run"] + network) * 1e3,
        UNIT,
        f"without a store: {(took['no store'] + network) * 1e3:.0f}",
        more,
        at_most=1.15,
        note=f"reading alone: {took['first run'] * 1e3:.1f} with, {took['no store'] * 1e3:.1f} without",
    )
    second = took["second run"]
    for name, told, bound in (
        ("OpenSlide", "OpenSlide's read_region", 4.0),
        ("no store", "Slide.read without a store", None),
        ("zarr", "the same store through zarr's arrays", None),
    ):
        yield Row(
            f"{case.name}: reading from the store",
            second * 1e3,
            UNIT,
            f"{told}: {took[name] * 1e3:.1f}",
            took[name] / second,
            at_least=bound,
        )
    size, slide = bytes_of(path / "0"), case.path.stat().st_size
    yield Row(f"{case.name}: size of the store", size / 1e6, "MB", f"the slide: {slide / 1e6:.1f} MB", size / slide)
    emptied(path)


def of_wide_slide(spec: ModelSpec) -> Iterator[Row]:
    """Count how often chunks are decoded where a row of tiles does not fit a worker's memory and nothing is stored."""
    card = load_card(spec)
    grid = TileGrid.cover(*WIDE, GridSpec(), card.halo_px, card.stride_px)
    frame = Frame.at(0.5, *WIDE, 0.5, 0.5)
    for chunk_px in (256, 512, 1024):
        store = TileStore(None, Blank(), frame, chunk_px)
        chunks = store.count(tile.read for tile in grid).needed
        for tile in grid:
            store.read(tile.read.clipped(frame.box))
        told = f"{WIDE[0]:,} px wide slide: a chunk of {chunk_px} px is decoded without a store"
        yield Row(told, store.decoded / chunks, "times", "with a store: 1", note="one worker")


class Blank:
    """A slide of white pixels that cost nothing."""

    def read(self, _: Rect, width: int, height: int) -> np.ndarray:
        return np.broadcast_to(np.uint8(255), (height, width, 3))


def cost_of_network(spec: ModelSpec) -> float:
    """Return the CPU seconds that the model takes for a megapixel."""
    predictor = load_predictor(spec)
    side = GridSpec().tile_px
    noise = np.random.default_rng(0).integers(120, 256, (side // 8, side // 8, 3), dtype=np.uint8)
    tile = cv2.resize(noise, (side, side), interpolation=cv2.INTER_CUBIC)[np.newaxis]
    return least({"": lambda: lambda: predictor.predict(tile)})[""] / (side * side / 1e6)


def with_openslide(case: Case) -> Callable[[], object]:
    """Return what reads the boxes as most do: a region of level 0, made smaller by area."""
    slide, step = openslide.OpenSlide(case.path), case.level_px

    def read(box: Box) -> None:
        region = slide.read_region((box.x0 * step, box.y0 * step), 0, (box.width * step, box.height * step))
        pixels = np.asarray(region.convert("RGB"))
        if step > 1:
            cv2.resize(pixels, (box.width, box.height), interpolation=cv2.INTER_AREA)

    return lambda: [read(box) for box in case.boxes]


def through_store(case: Case, path: Path | None) -> Callable[[], object]:
    """Return what reads the boxes as workers do."""
    store = TileStore.open(path, open_slide(case.path), case.frame, StoreSpec())

    def read() -> None:
        with store:
            for box in case.boxes:
                store.read(box)

    return read


def with_zarr(case: Case, path: Path) -> Callable[[], object]:
    """Return what reads the boxes from a store that is filled, through zarr."""
    level = zarr.open_array(path / "0", mode="r")

    def read(box: Box) -> None:
        np.ascontiguousarray(np.asarray(level[:, box.y0 : box.y1, box.x0 : box.x1]).transpose(1, 2, 0))

    return lambda: [read(box) for box in case.boxes]


def emptied(path: Path) -> Path:
    """Return ``path``, with nothing there any more."""
    shutil.rmtree(path, ignore_errors=True)
    return path


def least(ways: dict[str, Callable[[], Callable[[], object]]]) -> dict[str, float]:
    """Return the least CPU seconds of each way; they take turns. A way opens what it needs and returns what counts."""
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            measured = way()
            began = time.process_time()
            measured()
            seconds[name] = min(seconds[name], time.process_time() - began)
    return seconds


def bytes_of(folder: Path) -> int:
    """Return the bytes of all files below ``folder``."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def more_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--data", type=Path, default=os.environ.get("PATHOPIPE_TEST_DATA", "../shared/data"))
    options.add_argument("--model", default="nuclei")


if __name__ == "__main__":
    main(__doc__, rows, more_options)
