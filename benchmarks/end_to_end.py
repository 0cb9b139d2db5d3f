"""What a whole run costs beside the bare model on the same pixels, what a second worker brings, what Dask costs.

    python benchmarks/end_to_end.py [--folder DIR]

The run reads, stores, predicts, stitches, writes and reports, on the slide of ``large_slide.py`` (more than 100 tiles);
``bare.py`` measures what is beside it: the float32 module as PyTorch runs it, which a user would otherwise take, and
pathopipe's own model in the same 8 bits as the run, which leaves only what the run adds. A run's start (Python, torch,
Dask, the model) is the same for every slide, so what a large slide takes more than a small one is told too. Processor
time, but where wall time is the point: how many times as fast two workers are than one.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from bare import Bare, bare
from command import Ran, pathopipe
from large_slide import BLOCK, SIDE, TISSUE
from repeated import STEP_PX, repeated_slide
from rows import Row, main

TINY = (2 * STEP_PX, STEP_PX, STEP_PX)
SMALL = (5 * STEP_PX, 4 * STEP_PX, STEP_PX)
"""Side of the slide, of its tissue, of what is drawn."""
TURNS = 2
"""One worker and two take turns, so that what else the machine does meets both."""


def rows(given: argparse.Namespace) -> Iterator[Row]:
    tiny = repeated_slide(given.folder, *TINY)
    large = tiny if given.quick else repeated_slide(given.folder, *(SMALL if given.small else (SIDE, TISSUE, BLOCK)))
    beside = {slide: bare(slide) for slide in dict.fromkeys((tiny, large))}
    ran = {slide: run(slide, given.folder, 1) for slide in beside}
    first = Took.of(ran[large], large, given.folder)
    yield from against_bare(ran[large], beside[large], large)
    if large != tiny:
        yield from without_start(ran[large], ran[tiny], beside[large], beside[tiny])
    turns = 1 if given.quick else TURNS
    yield from doubled(f"{beside[large].tiles} tiles", large, given.folder, first, turns)
    if not (given.quick or given.small):
        small = repeated_slide(given.folder, *SMALL)
        yield from doubled(
            "25 tiles", small, given.folder, Took.of(run(small, given.folder, 1), small, given.folder), turns
        )
    yield from engine(beside[large].model / beside[large].tiles, 100 if given.quick else 2000)


def against_bare(ran: Ran, beside: Bare, slide: Path) -> Iterator[Row]:
    """Compare a run by one worker with the bare model."""
    what = f"one worker, {slide.stem}, {beside.tiles} tiles, {beside.megapixels:.0f} MP of tissue: the whole command"
    for reference, took, target in (
        ("the float32 module as PyTorch runs it, on the same tiles in memory, nothing after it", beside.torch, 1.15),
        ("pathopipe's model as the run has it, in the same arithmetic, to outlines, on those", beside.model, 1.15),
        ("that on the tiles with their halo", beside.halo, None),
    ):
        yield Row(what, ran.cpu_seconds, "CPU s", f"{reference}: {took:.1f}", ran.cpu_seconds / took, at_most=target)
    yield Row(
        "the floor: decoding the same pixels by the bare codec",
        beside.codec,
        "CPU s",
        f"pathopipe's model alone: {beside.model:.1f}",
        beside.codec / beside.model,
        note="what no run can do without, before a pixel is copied or a cell is written",
    )


def without_start(large: Ran, tiny: Ran, beside: Bare, beside_tiny: Bare) -> Iterator[Row]:
    """Compare what a large slide takes more than a tiny one."""
    more = large.cpu_seconds - tiny.cpu_seconds
    tiles = beside.tiles - beside_tiny.tiles
    for reference, took, target in (
        ("pathopipe's model on those", beside.model - beside_tiny.model, 1.15),
        ("that on the tiles with their halo", beside.halo - beside_tiny.halo, 1.15),
    ):
        yield Row(f"the same, what {tiles} tiles more take", more, "CPU s", f"{reference}: {took:.1f}", more / took,
            at_most=target, note="without the start")  # fmt: skip
    start = tiny.cpu_seconds - more / tiles * beside_tiny.tiles
    yield Row("start of a run with one worker: Python, torch, Dask, model, report", start, "CPU s")


class Took(NamedTuple):
    """Seconds by the clock."""

    whole: float
    """Of the command."""
    tiles: float
    """Of the tiles' part."""

    @classmethod
    def of(cls, ran: Ran, slide: Path, folder: Path) -> Took:
        """Return what the latest run took."""
        record = json.loads((folder / "out" / slide.stem / "slide.json").read_text(encoding="utf-8"))
        return cls(ran.seconds, record["seconds"]["cells"])


def doubled(name: str, slide: Path, folder: Path, first: Took, turns: int) -> Iterator[Row]:
    """Run ``slide`` with two workers and with one in turn; ``first`` is what one worker took before."""
    took: dict[int, list[Took]] = {1: [first], 2: []}
    for _ in range(turns):
        for workers in (2, 1):
            if len(took[workers]) < turns:
                took[workers].append(Took.of(run(slide, folder, workers), slide, folder))
    one, two = (Took(*map(fmean, zip(*took[workers], strict=True))) for workers in (1, 2))
    each = [f"{alone.tiles / both.tiles:.2f}" for alone, both in zip(took[1], took[2], strict=True)]
    yield Row(
        f"two workers, {name}: the tiles' part", two.tiles, "s", f"one worker: {one.tiles:.1f}",
        one.tiles / two.tiles, at_least=1.8, note=f"times as fast; means of {turns} turns: {', '.join(each)}",
    )  # fmt: skip
    yield Row(
        f"two workers, {name}: the whole command", two.whole, "s", f"one worker: {one.whole:.1f}",
        one.whole / two.whole, note="the start does not halve",
    )  # fmt: skip


def run(slide: Path, folder: Path, workers: int) -> Ran:
    """Run the main job on ``slide`` from nothing."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    return pathopipe("run", slide, "--out", folder / "out", "--workers", workers, "--device", "cpu", "-q")


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
    options.add_argument("--small", action="store_true", help="the slide of 25 tiles in place of the large one")


if __name__ == "__main__":
    main(__doc__, rows, more_options)
