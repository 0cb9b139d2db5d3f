"""What a whole run costs beside the bare model on the same pixels, what a second worker brings, what Dask costs.

    python benchmarks/end_to_end.py [--folder DIR] [--side 20480] [--tissue 12288]

The run reads, stores, predicts, stitches, writes and reports; the bare model gets the same tissue tiles already in
memory: without halo, and with it, as the run must show them so that cells at tile borders are right. A run's start
(Python, torch, Dask, the model) is the same for every slide, so the ratio is also told of what a larger slide takes
more than a small one. Processor time, but where wall time is the point.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from command import Ran, pathopipe
from repeated import repeated_slide
from rows import Row, main

from pathopipe.config import load_config
from pathopipe.geometry import Box
from pathopipe.models.load import load_card, load_predictor
from pathopipe.slide.open import open_slide
from pathopipe.store.tiles import TileStore
from pathopipe.tiling.grid import TileGrid
from pathopipe.tiling.tissue import find_tissue

SMALL = 4096
AT_ONCE = 32
"""Tiles held in memory at a time."""


def rows(given: argparse.Namespace) -> Iterator[Row]:
    side, tissue = (8192, 4096) if given.quick else (given.side, given.tissue)
    small = repeated_slide(given.folder, SMALL * 2, SMALL, SMALL)
    large = repeated_slide(given.folder, side, tissue, SMALL)
    bare = {slide: bare_model(slide) for slide in dict.fromkeys((small, large))}
    ran = {slide: run(slide, given.folder, 1) for slide in bare}
    tiles, bare_cpu, with_halo = bare[large]
    yield Row(
        f"one worker, {side} px slide, {tiles} tiles: the whole command",
        ran[large].cpu_seconds,
        "CPU s",
        f"bare model on the same tiles: {bare_cpu:.1f}",
        ran[large].cpu_seconds / bare_cpu,
        at_most=1.15,
        note="start included",
    )
    if tiles > bare[small][0]:
        more, bare_more = ran[large].cpu_seconds - ran[small].cpu_seconds, bare_cpu - bare[small][1]
        yield Row(
            f"the same, what {tiles - bare[small][0]} tiles more take",
            more,
            "CPU s",
            f"bare model on those: {bare_more:.1f}",
            more / bare_more,
            at_most=1.15,
            note="without the start",
        )
        halo = with_halo - bare[small][2]
        yield Row(
            "the same, beside the model on tiles with their halo",
            more,
            "CPU s",
            f"bare model on those: {halo:.1f}",
            more / halo,
            at_most=1.15,
            note=f"the halo alone: {halo / bare_more:.2f}×, less with larger tiles (grid.tile_px)",
        )
        start = ran[small].cpu_seconds - more / (tiles - bare[small][0]) * bare[small][0]
        yield Row("start of a run with one worker: Python, torch, Dask, model, report", start, "CPU s")
    one = seconds(large, given.folder)
    two = run(large, given.folder, 2)
    cells = seconds(large, given.folder)["cells"]
    yield Row(
        "two workers, the tiles' part",
        cells,
        "s",
        f"one worker: {one['cells']:.1f}",
        one["cells"] / cells,
        at_least=1.8,
        note="times as fast",
    )
    whole = ran[large].seconds
    yield Row("two workers, the whole command", two.seconds, "s", f"one worker: {whole:.1f}", whole / two.seconds)
    yield from engine(bare_cpu / tiles, 100 if given.quick else 2000)


def run(slide: Path, folder: Path, workers: int) -> Ran:
    """Run the main job on ``slide`` from nothing."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    return pathopipe("run", slide, "--out", folder / "out", "--workers", workers, "--device", "cpu", "-q")


def seconds(slide: Path, folder: Path) -> dict[str, float]:
    """Return the stages' seconds of the latest run."""
    record = json.loads((folder / "out" / slide.stem / "slide.json").read_text(encoding="utf-8"))
    return dict(record["seconds"])


def bare_model(path: Path) -> tuple[int, float, float]:
    """Return the number of tissue tiles, and the model's CPU seconds on their cores and on all that they read."""
    cv2.setNumThreads(1)
    config = load_config(model={"device": "cpu"})
    card = load_card(config.model)
    predictor = load_predictor(config.model)

    def spent(boxes: list[Box]) -> float:
        predictor.predict(store.read(boxes[0])[np.newaxis])  # the first pass sets up kernels and buffers
        total = 0.0
        for start in range(0, len(boxes), AT_ONCE):
            pixels = [store.read(box)[np.newaxis] for box in boxes[start : start + AT_ONCE]]
            began = time.process_time()
            for each in pixels:
                predictor.predict(each)
            total += time.process_time() - began
        return total

    with open_slide(str(path), config.slide) as slide:
        frame = slide.info.frame(card.mpp)
        grid = TileGrid.cover(frame.width, frame.height, config.grid, card.halo_px, card.stride_px)
        tiles = grid.touching(find_tissue(slide, config.tissue, config.artefacts), frame)
        store = TileStore.open(None, slide, frame, config.store)
        return len(tiles), spent([tile.core for tile in tiles]), spent([tile.read for tile in tiles])


def nothing(item: int) -> int:
    return item


def engine(tile_cpu: float, items: int) -> Iterator[Row]:
    """Compare the executors on tasks that do nothing."""
    import psutil

    from pathopipe.engine.cluster import start_executor
    from pathopipe.engine.serial import SerialExecutor
    from pathopipe.engine.spec import EngineSpec

    def spent() -> float:
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        return sum(each.cpu_times().user + each.cpu_times().system for each in processes)

    def a_tile(executor: object) -> float:
        done: list[int] = []
        began = spent()
        executor.each(nothing, range(items), lambda _, result: done.append(result))  # type: ignore[attr-defined]
        assert len(done) == items
        return (spent() - began) / items

    serial = a_tile(SerialExecutor())
    with start_executor(EngineSpec(workers=1)) as executor:
        executor.each(nothing, range(50), lambda *_: None)
        dask = a_tile(executor)
    yield Row(
        "Dask, all processes, a tile that needs nothing",
        dask * 1e3,
        "CPU ms a tile",
        f"the model on a tile: {tile_cpu * 1e3:.0f}",
        dask / tile_cpu,
        at_most=0.02,
        note=f"a plain loop: {serial * 1e3:.2g}",
    )


def more_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--side", type=int, default=20_480, help="of the slide, in level-0 pixels")
    options.add_argument("--tissue", type=int, default=16_384, help="side of its tissue")


if __name__ == "__main__":
    main(__doc__, rows, more_options)
