"""What a run's processes take beside the tiles: to start, while the workers compute, and for each task.

Two workers are started as a run starts them, and as dask does by itself: each importing what it needs, with dask's own
intervals of looking at itself. Processor time of all processes.

    python benchmarks/coordinator.py [--workers 2] [--seconds 20]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
from rows import Row, main

TASKS = 200
IMPORTS_S = 15
"""How long workers may import after they have answered."""
CHILD = "import sys, coordinator; coordinator.once(*map(int, sys.argv[1:]))"


def nothing(item: int) -> int:
    """Return ``item``."""
    return item


def once(usual: int, workers: int, seconds: int) -> None:
    """Start workers, as ``usual`` with dask or as a run does, and print what they took as JSON."""
    from pathopipe.engine import cluster, starting
    from pathopipe.engine.spec import EngineSpec

    if usual:
        cluster._QUIET.clear()
        starting.METHOD = "spawn"
    with cluster.start_executor(EngineSpec(workers=workers)) as engine:
        engine.each(nothing, range(20 * workers), lambda *_: None)
        time.sleep(IMPORTS_S)
        laps = [cpu_s()]
        time.sleep(seconds)
        laps.append(cpu_s())
        engine.each(nothing, range(TASKS), lambda *_: None)
        laps.append(cpu_s())
    idle = (laps[1] - laps[0]) / seconds
    print(json.dumps({"start": laps[0] - IMPORTS_S * idle, "idle": idle, "task": (laps[2] - laps[1]) / TASKS}))


def cpu_s() -> float:
    """Return the processor time that this process and all below it have used."""
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return sum(sum(process.cpu_times()[:2]) for process in processes)


def measured(usual: bool, given: argparse.Namespace) -> dict[str, float]:
    """Return what :func:`once` prints in a fresh process."""
    arguments = [
        sys.executable,
        "-c",
        CHILD,
        *map(str, (int(usual), given.workers, 2 if given.quick else given.seconds)),
    ]
    ran = subprocess.run(arguments, cwd=Path(__file__).parent, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(ran.stdout))


def rows(given: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows."""
    ours, usual = measured(False, given), measured(True, given)
    for what, key, factor, unit in (
        ("to start, until they are ready for tiles", "start", 1.0, "CPU s"),
        ("while the workers compute, beside the tiles", "idle", 1e3, "CPU ms a second"),
        ("a task that does nothing", "task", 1e3, "CPU ms"),
    ):
        yield Row(
            f"{given.workers} workers and the run's own process: {what}",
            ours[key] * factor,
            unit,
            f"as dask does by itself: {usual[key] * factor:.3g}",
            ours[key] / usual[key],
        )


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=20, help="How long they are watched.")


if __name__ == "__main__":
    main(__doc__, rows, options)
