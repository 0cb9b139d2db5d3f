"""A run on a GPU: whether its cells are those of the CPU, seconds a mm² of tissue, and how busy the GPU is.

    python benchmarks/gpu.py [--folder DIR] [--tissue 40960] [--set SECTION.KEY=VALUE]

Without a GPU there is nothing to measure, and it says so.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator

from command import pathopipe
from machine import gpu_name
from repeated import STEP_PX, repeated_slide
from rows import Row, main, skipped

from pathopipe.annotations.read import read_outlines
from pathopipe.evaluation import evaluate_outlines
from pathopipe.layout import SlideFolder

EVERY_S = 0.2
AGREEMENT = "cells as on the CPU in float32, on one GPU in what is its default"
BUSY = "GPU busy in the steady state, by nvidia-smi"


def rows(given: argparse.Namespace) -> Iterator[Row]:
    name = gpu_name()
    if not name:
        for what in (AGREEMENT, "a run on a GPU", BUSY):
            yield skipped(what, "no GPU here; on a machine with one: python -m benchmarks gpu")
        return
    yield agreement(given)
    tissue = 2 * STEP_PX if given.quick else given.tissue
    slide = repeated_slide(given.folder, tissue + 2 * STEP_PX, tissue, 2 * STEP_PX)
    out = given.folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    busy: list[tuple[float, float]] = []
    done = threading.Event()
    watcher = threading.Thread(target=watch, args=(busy, done))
    watcher.start()
    options = [each for setting in given.set for each in ("--set", setting)]
    began = time.monotonic()
    ran = pathopipe("run", slide, "--out", out, "--device", "cuda", "-q", *options)
    done.set()
    watcher.join()
    record = json.loads((out / slide.stem / "slide.json").read_text(encoding="utf-8"))
    area = record["tissue_mm2"]
    whole = f"{name}: {area:.0f} mm² of tissue, {record['cells']:,} cells"
    yield Row(f"{whole}: the whole command", ran.seconds / area, "s a mm²", at_most=0.1, note=f"{ran.seconds:.0f} s")
    stages = sum(record["seconds"].values())
    yield Row(f"{whole}: without the start", stages / area, "s a mm²", at_most=0.1, note=f"{stages:.0f} s")
    yield Row(f"{whole}: the tiles alone", record["seconds"]["cells"] / area, "s a mm²")
    steady = steady_state(busy, began)
    if steady is None:
        yield skipped(BUSY, "nvidia-smi told nothing")
    else:
        yield Row(BUSY, steady, "%", at_least=90)
    together = sum(record["worker_seconds"].values())
    for stage, took in record["worker_seconds"].items():
        yield Row(f"– workers: {stage}", took, "s", note=f"{took / together:.0%} of their time")
    print(record["bottleneck"])


def agreement(given: argparse.Namespace, device: str = "cuda") -> Row:
    """Return how many cells of a small slide the GPU finds where the CPU does in float32 (IoU above 0.5)."""
    slide = repeated_slide(given.folder, 4 * STEP_PX, 2 * STEP_PX)
    plain = ("--set", "model.bf16=off", "--set", "model.int8=off")
    found = []
    for name, options in ((device, ()), ("cpu", plain)):
        out = given.folder / f"out-{len(found)}"
        shutil.rmtree(out, ignore_errors=True)
        pathopipe("run", slide, "--out", out, "--device", name, "-q", *options)
        found.append(read_outlines(SlideFolder(out / slide.stem).cells_geojson).outlines)
    same = evaluate_outlines(*found)
    note = f"{same.true_positives:,} of {same.truth:,} cells, and {same.false_positives:,} others"
    return Row(AGREEMENT, 100 * same.true_positives / same.truth, "%", at_least=98, note=note)


def watch(busy: list[tuple[float, float]], done: threading.Event) -> None:
    """Note when and how busy (per cent) the first GPU is, until ``done``."""
    query = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--id=0"]
    while not done.wait(EVERY_S):
        told = subprocess.run(query, capture_output=True, text=True, check=False)
        if told.returncode == 0 and told.stdout.strip().isdigit():
            busy.append((time.monotonic(), float(told.stdout)))


def steady_state(busy: list[tuple[float, float]], began: float) -> float | None:
    """Return the mean of the middle eight tenths between the first moment that the GPU worked and the last."""
    working = [at for at, per_cent in busy if per_cent > 0 and at >= began]
    if len(working) < 5:
        return None
    first, last = working[0], working[-1]
    margin = (last - first) / 10
    middle = [per_cent for at, per_cent in busy if first + margin <= at <= last - margin]
    return sum(middle) / len(middle)


def more_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--tissue", type=int, default=10 * STEP_PX, help="side of the tissue in level-0 pixels")
    options.add_argument("--set", action="append", default=[], metavar="SECTION.KEY=VALUE", help="as of the command")


if __name__ == "__main__":
    main(__doc__, rows, more_options)
