"""A slide with 100 mm² of tissue at 40×, from cold start to finished GeoJSON, and where the time goes.

    python benchmarks/large_slide.py [--slide FILE] [--workers 2] [--folder DIR]

Without a slide, one is made: a drawn block of tissue, its JPEG tiles repeated to 40,960 px squared on glass (2.4
gigapixels, 105 mm² of tissue). The command runs in processes of its own from nothing, so that the start of Python and
of the workers counts. Wall time: for a machine that does nothing else.
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

from command import pathopipe
from machine import cores
from repeated import STEP_PX, repeated_slide
from rows import Row, main

from pathopipe.stopwatch import Spent

SIDE, TISSUE, BLOCK = 12 * STEP_PX, 10 * STEP_PX, 2 * STEP_PX
LIMIT_S = 60


def rows(given: argparse.Namespace) -> Iterator[Row]:
    slide = given.slide
    if slide is None:
        began = time.perf_counter()
        size = (4 * STEP_PX, 2 * STEP_PX, STEP_PX) if given.quick else (SIDE, TISSUE, BLOCK)
        slide = repeated_slide(given.folder, *size)
        print(
            f"{slide.name}: {slide.stat().st_size / 1e9:.2f} GB, made or found in {time.perf_counter() - began:.0f} s"
        )
    out = given.folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    options = [each for setting in given.set for each in ("--set", setting)]
    ran = pathopipe("run", slide, "--out", out, "--workers", given.workers, "-q", *options)
    record = json.loads((out / slide.stem / "slide.json").read_text(encoding="utf-8"))
    area, cells = record["tissue_mm2"], record["cells"]
    yield Row(
        f"{area:.0f} mm² of tissue, {record['tiles']:,} tiles, {cells:,} cells, {given.workers} workers: whole command",
        ran.seconds,
        "s",
        at_most=None if given.quick else LIMIT_S * max(area / 100, 1),
        note=f"{ran.seconds / area:.2f} s a mm²; {ran.cpu_seconds:.0f} CPU s",
    )
    for stage, took in record["seconds"].items():
        yield Row(f"– {stage}", took, "s", note=f"{took / ran.seconds:.0%}")
    rest = ran.seconds - sum(record["seconds"].values())
    yield Row("– start of Python and the workers, report, end", rest, "s", note=f"{rest / ran.seconds:.0%}")
    together = sum(record["worker_seconds"].values())
    for stage, took in record["worker_seconds"].items():
        spent = Spent(took, record["worker_cpu_seconds"].get(stage, 0.0))
        yield Row(
            f"– – workers, together: {stage}",
            spent.seconds,
            "s",
            note=f"{spent.seconds / together:.0%} of their time, {spent.cpu_seconds:.1f} CPU s",
        )
    yield Row("peak memory of the largest worker", ran.worker_bytes / 1e9, "GB", at_most=2.0)
    yield Row("peak memory of the coordinating process", ran.coordinator_bytes / 1e9, "GB")
    if record["bottleneck"]:
        print(record["bottleneck"])


def more_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--slide", type=Path, help="take this slide; one is made by default")
    options.add_argument("--workers", type=int, default=cores())
    options.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="as of the command")


if __name__ == "__main__":
    main(__doc__, rows, more_options)
