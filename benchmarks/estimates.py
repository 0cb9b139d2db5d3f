"""What ``--dry-run`` reckons, and what the run then takes: time, memory of a worker, disk.

    python benchmarks/estimates.py [--folder DIR] [--workers 2]

On slides that differ: half tissue, little tissue, a square of it, 104 mm² of it, and a real one where there is one;
with one worker too, and three of the slides in one run. Plan and run start from nothing.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from command import pathopipe
from drawn import drawn_slide
from large_slide import BLOCK, SIDE, TISSUE
from machine import cores
from repeated import STEP_PX, repeated_slide
from rows import Row, main, skipped

from pathopipe.batch.run import job_for
from pathopipe.config import load_config
from pathopipe.layout import SlideFolder
from pathopipe.models.load import load_card
from pathopipe.plan import Plan, Planner
from pathopipe.slide.find import FoundSlide

WITHIN = 1.5
DATA = Path(os.environ.get("PATHOPIPE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
REAL = DATA / "slides" / "cmu-1-small-region.svs"


def rows(given: argparse.Namespace) -> Iterator[Row]:
    slides = {"half tissue": drawn_slide(given.folder, 4096)}
    if not given.quick:
        slides["little tissue"] = repeated_slide(given.folder, 5 * STEP_PX, STEP_PX, STEP_PX)
        slides["a square of tissue"] = repeated_slide(given.folder, 5 * STEP_PX, 3 * STEP_PX, STEP_PX)
        if REAL.exists():
            slides["a real slide"] = REAL
    several = list(slides.values())[:3]
    if not given.quick:
        slides["104 mm² of tissue"] = repeated_slide(given.folder, SIDE, TISSUE, BLOCK)
    for name, slide in slides.items():
        yield from compared(f"{name}, {told(given.workers)}", [slide], given.folder, given.workers)
    if not REAL.exists():
        yield skipped("a real slide", "there is none; PATHOPIPE_TEST_DATA names the folder of test data")
    if given.workers > 1 and not given.quick:
        yield from compared(f"a square of tissue, {told(1)}", several[-1:], given.folder, 1)
    if len(several) > 1:
        yield from compared(
            f"{len(several)} slides in one run, {told(given.workers)}", several, given.folder, given.workers
        )


def told(workers: int) -> str:
    return f"{workers} worker{'s' * (workers != 1)}"


def compared(name: str, slides: Sequence[Path], folder: Path, workers: int) -> Iterator[Row]:
    """Plan and run ``slides`` and compare."""
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    plans, seconds = planned(slides, out, workers)
    ran = pathopipe("run", *slides, "--out", out, "--workers", workers, "--device", "cpu", "-q")
    disk = sum(path.stat().st_size for slide in slides for path in (out / slide.stem).rglob("*") if path.is_file())
    for what, real, reckoned, unit in (
        ("time", ran.seconds, seconds, "s"),
        ("memory of a worker", ran.worker_bytes / 1e9, max(plan.worker_bytes or 0 for plan in plans) / 1e9, "GB"),
        ("disk", disk / 1e9, sum(plan.disk_bytes for plan in plans) / 1e9, "GB"),
    ):
        bounds = {"at_least": 1 / WITHIN, "at_most": WITHIN}
        yield Row(f"{name}: {what}", real, unit, f"reckoned: {reckoned:.2g}", real / reckoned, **bounds)
    shutil.rmtree(out)


def planned(slides: Sequence[Path], out: Path, workers: int) -> tuple[list[Plan], float]:
    """Return the plans as ``--dry-run`` makes them, and the seconds that it tells for all of them.

    In a process of its own, as the command is: workers are copies of one that a plan before would have started.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_planned, slides, out, workers).result()


def _planned(slides: Sequence[Path], out: Path, workers: int) -> tuple[list[Plan], float]:
    config = load_config(engine={"workers": workers}, model={"device": "cpu"})
    with Planner(config) as planner:
        found = [FoundSlide(str(slide), None, slide.stem) for slide in slides]
        jobs = [job_for(SlideFolder(out / each.id), each, config, load_card(config.model)) for each in found]
        plans = [planner.plan(job) for job in jobs]
        return plans, START_S + planner.seconds(plans)


START_S = time.process_time()
"""What Python took to come here: the command takes it too."""


def more_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--workers", type=int, default=cores())


if __name__ == "__main__":
    main(__doc__, rows, more_options)
