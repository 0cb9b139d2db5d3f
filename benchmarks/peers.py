"""Reading the tiles of a slide's tissue at the model's resolution: pathopipe, and other tools where they are installed.

    python benchmarks/peers.py [--folder DIR] [--tiles 144] [--python FILE …]

The same boxes for all, processor time of all threads, each tool in a process of its own; a tool's pixels must be those
that pathopipe reads, but for the way of reducing them. Then each tool that finds tissue does so and reads the tiles
that it found, from opening the slide on. Requirements differ: install what shall be compared (`pip install tiatoolbox`,
`lazyslide`, `dlup`) into environments of their own and name their interpreters with ``--python``, or in the variable
``PATHOPIPE_PEERS``, separated by colons. A tool is measured in the first environment that has it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from peer_tools import KEPT, ROUNDS, TOOLS, Job, Tool
from repeated import STEP_PX, repeated_slide
from rows import Row, main, skipped

from pathopipe.config import load_config
from pathopipe.engine.heap import keep_freed_memory
from pathopipe.geometry import Box
from pathopipe.slide.open import open_slide
from pathopipe.tiling.grid import GridSpec, TileGrid
from pathopipe.tiling.tissue import find_tissue

MPP = 0.5
SIDE = 512
"""Of a tile at that resolution."""
SAME = 4.0
"""Grey levels that a tool's pixels may differ from ours on average: ways to reduce a picture differ by one or two."""
UNIT = "MP/s a core"
LIMIT_S = 300
"""A tool that takes longer is given up."""


def rows(given: argparse.Namespace) -> Iterator[Row]:
    cv2.setNumThreads(1)
    keep_freed_memory()
    side, tissue = (2, 1) if given.quick else (5, 3)
    slide = repeated_slide(given.folder, side * STEP_PX, tissue * STEP_PX, STEP_PX)
    job = job_on(slide, (side - tissue) // 2 * STEP_PX, tissue * STEP_PX, given.tiles)
    ours = {"boxes": best(lambda: our_boxes(job)), "tissue": best(lambda: our_tissue(job))}
    yield Row(f"pathopipe: {len(job.corners)} tiles of {SIDE} px at {MPP} µm/px", ours["boxes"], UNIT)
    yield Row("pathopipe: finding the tissue and reading its tiles", ours["tissue"], UNIT)
    expected = np.stack([tile for tile, _ in zip(our_boxes(job), range(KEPT), strict=False)])
    for name, tool in TOOLS.items():
        yield from beside(name, tool, job, expected, ours, given)


def job_on(slide: Path, first: int, tissue: int, most: int) -> Job:
    """Return the tiles of the square of tissue that begins at ``first`` and measures ``tissue`` level-0 pixels."""
    with open_slide(str(slide)) as opened:
        factor = round(MPP / opened.info.scale.x)
    places = range(first // factor, (first + tissue) // factor - SIDE + 1, SIDE)
    return Job(str(slide), MPP, factor, SIDE, [[x, y] for y in places for x in places][:most])


def beside(
    name: str, tool: Tool, job: Job, expected: np.ndarray, ours: dict[str, float], given: argparse.Namespace
) -> Iterator[Row]:
    """Measure one tool and compare."""
    told, tiles, problem = run(name, job, given)
    if told is None:
        yield skipped(tool.title, problem)
        return
    title = f"{tool.title} {told['version']}"
    problem, difference = compared(tiles, expected)
    if problem:
        yield skipped(title, problem)
        return
    theirs = rate(told["boxes"])
    note = f"its pixels differ by {difference:.2g} grey levels on average"
    yield Row(
        f"the same tiles, beside {title}", ours["boxes"], UNIT, f"{theirs:.3g}", ours["boxes"] / theirs, note=note
    )
    if told["tissue"]:
        theirs = rate(told["tissue"])
        note = f"it read {told['tissue']['tiles']:,.0f} tiles"
        what = f"finding the tissue and reading its tiles, beside {title}"
        yield Row(what, ours["tissue"], UNIT, f"{theirs:.3g}", ours["tissue"] / theirs, note=note)
    elif told["problem"]:
        yield skipped(f"{title}, finding the tissue", told["problem"])


def run(name: str, job: Job, given: argparse.Namespace) -> tuple[dict[str, Any] | None, np.ndarray, str]:
    """Return what the first environment that has the tool measured, and its tiles; else why none did."""
    job_path, tiles_path = given.folder / "peers.job.json", given.folder / "peers.tiles.npy"
    job_path.write_text(json.dumps(asdict(job)), encoding="utf-8")
    script = Path(__file__).with_name("peer_tools.py")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENCV_FOR_THREADS_NUM": "1"}
    problems = []
    for python in given.python:
        command = [python, script, name, job_path, tiles_path]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=LIMIT_S)
        except (OSError, subprocess.TimeoutExpired) as error:
            problems.append(f"{type(error).__name__} of {Path(python).name}")
            continue
        if ran.returncode == 0:
            return json.loads(ran.stdout.splitlines()[-1]), np.load(tiles_path), ""
        problems.append((ran.stderr.strip().splitlines() or [f"exit status {ran.returncode}"])[-1])
    telling = [each for each in problems if not each.endswith("is not installed")]
    return None, np.empty(0), "; ".join(dict.fromkeys(telling or problems))


def compared(tiles: np.ndarray, expected: np.ndarray) -> tuple[str, float]:
    """Return what is wrong with a tool's tiles, "" for nothing, and how many grey levels they differ on average."""
    if tiles.shape != expected.shape:
        return f"its tiles are of {tiles.shape[1:]} instead of {expected.shape[1:]}", 0.0
    difference = float(np.abs(tiles.astype(np.int16) - expected).mean())
    return (f"its pixels differ by {difference:.0f} grey levels on average" if difference > SAME else ""), difference


def rate(told: dict[str, float]) -> float:
    """Return megapixels a second of processor."""
    return told["pixels"] / told["seconds"] / 1e6


def best(tiles: Callable[[], Iterator[np.ndarray]]) -> float:
    """Return our megapixels a second of processor, measured as ``peer_tools`` does."""
    found = 0.0
    for _ in range(ROUNDS):
        began = time.process_time()
        pixels = sum(tile.shape[0] * tile.shape[1] for tile in tiles())
        found = max(found, pixels / (time.process_time() - began) / 1e6)
    return found


def our_boxes(job: Job) -> Iterator[np.ndarray]:
    with open_slide(job.slide) as slide:
        frame = slide.info.frame(job.mpp)
        for x, y in job.corners:
            yield slide.read(frame.to_level0(Box(x, y, x + job.side, y + job.side)), job.side, job.side)


def our_tissue(job: Job) -> Iterator[np.ndarray]:
    config = load_config()
    with open_slide(job.slide) as slide:
        frame = slide.info.frame(job.mpp)
        grid = TileGrid.cover(frame.width, frame.height, GridSpec(tile_px=job.side, crop=False), 0, 1)
        for tile in grid.touching(find_tissue(slide, config.tissue, config.artefacts), frame):
            yield slide.read(frame.to_level0(tile.core), job.side, job.side)


def more_options(options: argparse.ArgumentParser) -> None:
    named = [each for each in os.environ.get("PATHOPIPE_PEERS", "").split(":") if each]
    options.add_argument("--tiles", type=int, default=144)
    options.add_argument("--python", nargs="+", default=[sys.executable, *named], help="interpreters that have tools")


if __name__ == "__main__":
    main(__doc__, rows, more_options)
