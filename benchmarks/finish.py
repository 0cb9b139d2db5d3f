"""What is left to do after the tiles, for a million cells: how long, in how much memory?

Draws the instance files of a slide as its tiles report them (see drawn_cells.py), and has a fresh process do with them
what `pathopipe run` does once all tiles are analysed: stitch them, leave out what is outside the tissue or no nucleus,
have the workers write them block by block, put the blocks together to GeoJSON and GeoParquet, write annotations,
compute the scores, and draw the overview. Processor time and memory are those of this process and its workers, from
when the workers are there; 0 workers do all in one process.

    python benchmarks/finish.py --cells 1000000 [--workers 2]
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import geojson
import numpy as np
import psutil
import shapely
from drawn_cells import DrawnCells
from rows import Row, main

from pathopipe.annotations.spec import AnnotationSpec
from pathopipe.annotations.written import WrittenCells
from pathopipe.config import load_config
from pathopipe.engine.base import Executor
from pathopipe.engine.blocks import Block, WriteBlock
from pathopipe.engine.cluster import start_executor
from pathopipe.engine.spec import EngineSpec
from pathopipe.finish import Nuclei, write_cells, write_results
from pathopipe.geometry import Rect
from pathopipe.job import Job
from pathopipe.layout import SlideFolder
from pathopipe.models.base import ModelCard
from pathopipe.stitch.stitch import stitch
from pathopipe.store.instances import InstanceStore

CARD = ModelCard("drawn", "1", 0.5, ("Nucleus",), 64, 2, 32.0, "0" * 64, "", (), (), ())
REFERENCE_CELLS = 10_000
CHILD = "import sys, finish; finish.once(int(sys.argv[1]), finish.Path(sys.argv[2]), int(sys.argv[3]))"


class DrawnSlide:
    """A slide that is white all over; its pixels are no part of what is measured."""

    def __init__(self, drawn: DrawnCells) -> None:
        self.info = drawn.info

    def read(self, _: Rect, width: int, height: int) -> np.ndarray:
        """Return white."""
        return np.full((height, width, 3), 255, np.uint8)


def once(cells: int, folder: Path, workers: int) -> None:
    """Finish a slide of about ``cells`` cells in ``folder``, and print what it took as JSON."""
    drawn, config = DrawnCells(cells), load_config()
    tissue, out = drawn.tissue(), SlideFolder(folder / f"out-{cells}")
    tiles = drawn.grid.touching(tissue, drawn.frame)
    store = InstanceStore(folder / f"instances-{cells}", "drawn")
    out.path.mkdir(exist_ok=True)
    job = Job("drawn", "drawn.svs", out, config, CARD, 1, ("float32",))
    spec = EngineSpec(workers=workers) if workers else EngineSpec(cluster="serial")
    with start_executor(spec) as engine:
        warm_up(engine, folder / "warm", drawn, store)
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        wall, laps = [time.perf_counter()], [cpu_s(processes)]
        nuclei = Nuclei(tissue, tissue.polygons, config.artefacts)
        stitched = nuclei.among(stitch(tiles, store.get, drawn.frame, config.stitch))
        written = write_cells(job, drawn.info, store, stitched, engine)
        wall.append(time.perf_counter())
        laps.append(cpu_s(processes))
        found = WrittenCells.read(out.cells_parquet, CARD.classes)
        write_results(job, DrawnSlide(drawn), tissue, shapely.MultiPolygon(), {}, written, found)
        wall.append(time.perf_counter())
        laps.append(cpu_s(processes))
        peaks = [peak_gb(process.pid) for process in processes]
    told = {
        "cells": written.cells,
        "cells_wall_s": wall[1] - wall[0],
        "rest_wall_s": wall[2] - wall[1],
        "cells_own_cpu_s": laps[1][0] - laps[0][0],
        "cells_workers_cpu_s": sum(laps[1][1:]) - sum(laps[0][1:]),
        "rest_cpu_s": sum(laps[2]) - sum(laps[1]),
        "own_gb": peaks[0],
        "peak_gb": sum(peaks),
    }
    print(json.dumps(told))


def warm_up(engine: Executor, folder: Path, drawn: DrawnCells, store: InstanceStore) -> None:
    """Have the workers import what they need: in a run they have, most of it, when the tiles are done."""
    folder.mkdir(exist_ok=True)
    task = WriteBlock(store.folder, store.fingerprint, CARD.classes, folder, drawn.info, AnnotationSpec())
    engine.each(task, (Block(number, ()) for number in range(4 * engine.workers)), lambda *_: None)


def cpu_s(processes: list[psutil.Process]) -> list[float]:
    """Return the processor time that each process has used."""
    return [sum(process.cpu_times()[:2]) for process in processes]


def peak_gb(process: int) -> float:
    """Return the most memory that a process ever had, resident."""
    for line in Path(f"/proc/{process}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e9
    raise OSError(f"/proc/{process}/status tells no VmHWM")


def finished(cells: int, folder: Path, workers: int) -> dict[str, float]:
    """Draw the instance files if they are not there, finish the slide in a fresh process, and return the figures."""
    DrawnCells(cells).put(folder / f"instances-{cells}", "drawn")
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(cells), str(folder), str(workers)],
        cwd=Path(__file__).parent,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(run.stdout)


def reference_s(cells: int) -> float:
    """Return CPU seconds a cell of a loop with shapely and the geojson package: GeoJSON with two measurements alone."""
    drawn = DrawnCells(cells)
    tiles = iter(drawn.grid)
    rings: list[np.ndarray] = []
    while len(rings) < min(cells, REFERENCE_CELLS):
        outlines = drawn.seen_by(next(tiles)).outlines
        rings += [outlines.ring(index) for index in range(len(outlines))]
    began, features = time.process_time(), []
    for ring in rings:
        polygon = shapely.Polygon(ring.astype(float).round(1).tolist())
        measured = {"Area µm^2": polygon.area / 16, "Perimeter µm": polygon.length / 4}
        features.append(geojson.Feature(geometry=polygon, properties={"measurements": measured}))
    geojson.dumps(geojson.FeatureCollection(features))
    return (time.process_time() - began) / len(rings)


def rows(given: argparse.Namespace) -> Iterator[Row]:
    """Yield the rows."""
    cells = 20_000 if given.quick else given.cells
    least, most = (finished(number, given.folder, given.workers) for number in (cells // 4, cells))
    how = f"{given.workers} workers" if given.workers else "one process"
    what = f"{most['cells']:,.0f} cells, from tiles' files to all results, {how}"
    wall_s = most["cells_wall_s"] + most["rest_wall_s"]
    own, workers, rest = (most[f"{name}_cpu_s"] for name in ("cells_own", "cells_workers", "rest"))
    cpu_s = own + workers + rest
    busy = f"cells {most['cells_wall_s']:.1f}, in which {(own + workers) / most['cells_wall_s']:.1f} cores were busy"
    yield Row(f"{what}: by the clock", wall_s, "s", at_most=60, note=busy)
    usual_s = reference_s(cells) * most["cells"]
    yield Row(
        f"{what}: of the processor",
        cpu_s,
        "CPU s",
        f"shapely and geojson in a loop, GeoJSON alone: {usual_s:.0f} CPU s",
        usual_s / cpu_s,
        note=f"cells {own:.1f} in this process and {workers:.1f} in the workers; "
        f"regions, scores and overview {rest:.1f}",
    )
    yield Row(f"{what}: peak memory of all processes", most["peak_gb"], "GB", at_most=2)
    yield Row(
        "of that this process",
        most["own_gb"],
        "GB",
        f"a quarter of the cells: {least['own_gb']:.2f} GB",
        most["own_gb"] / least["own_gb"],
        note=f"{1000 * (most['own_gb'] - least['own_gb']) / (most['cells'] - least['cells']) * 1e6:.0f} MB "
        "more for a million cells more",
    )


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--cells", type=int, default=1_000_000, help="Cells of the slide, about.")
    parser.add_argument("--workers", type=int, default=2)


if __name__ == "__main__":
    main(__doc__, rows, options)
