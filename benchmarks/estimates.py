"""What ``--dry-run`` reckons, and what the run then takes: time, memory of a worker, disk, cells.

    python benchmarks/estimates.py [--folder DIR] [--workers 1 2]

On slides that differ: half tissue, little tissue, much more of it than is looked at. Both commands start from nothing.
The plan's time is without the start of the command itself; the run's is the whole command's.
"""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

from command import pathopipe
from drawn import drawn_slide
from machine import cores
from repeated import STEP_PX, repeated_slide
from rows import Row, main

from pathopipe.batch import job_for
from pathopipe.config import load_config
from pathopipe.layout import SlideFolder
from pathopipe.models.load import load_card
from pathopipe.plan import Planner
from pathopipe.slide.find import FoundSlide

WITHIN = 1.5


def rows(given: argparse.Namespace) -> Iterator[Row]:
    slides = {"half tissue": drawn_slide(given.folder, 4096)}
    if not given.quick:
        slides["little tissue"] = drawn_slide(given.folder, 12_288, 0.1)
        slides["a square of tissue"] = repeated_slide(given.folder, 5 * STEP_PX, 3 * STEP_PX, STEP_PX)
    for workers in given.workers:
        for name, slide in slides.items():
            yield from compared(f"{name}, {workers} worker{'s' * (workers != 1)}", slide, given.folder, workers)


def compared(name: str, slide: Path, folder: Path, workers: int) -> Iterator[Row]:
    """Plan and run ``slide`` and compare."""
    config = load_config(engine={"workers": workers}, model={"device": "cpu"})
    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    with Planner(config) as planner:
        found = FoundSlide(str(slide), None, slide.stem)
        plan = planner.plan(job_for(SlideFolder(out / slide.stem), found, config, load_card(config.model)))
    ran = pathopipe("run", slide, "--out", out, "--workers", workers, "--device", "cpu", "-q")
    disk = sum(path.stat().st_size for path in (out / slide.stem).rglob("*") if path.is_file())
    for what, real, reckoned, unit in (
        ("time", ran.seconds, planner.start_seconds + plan.seconds, "s"),
        ("memory of a worker", ran.worker_bytes / 1e9, (plan.worker_bytes or 0) / 1e9, "GB"),
        ("disk", disk / 1e9, plan.disk_bytes / 1e9, "GB"),
    ):
        bounds = {"at_least": 1 / WITHIN, "at_most": WITHIN}
        yield Row(f"{name}: {what}", real, unit, f"reckoned: {reckoned:.2g}", real / reckoned, **bounds)
    shutil.rmtree(out)


def more_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--workers", type=int, nargs="+", default=sorted({1, cores()}))


if __name__ == "__main__":
    main(__doc__, rows, more_options)
