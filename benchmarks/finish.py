"""What is left to do after the tiles, for a million cells: how long, in how much memory?

Draws the instance files of a slide as its tiles report them (see drawn_cells.py), and has a fresh process do with them
what `pathopipe run` does once all tiles are analysed: stitch them, leave out what is outside the tissue or no nucleus,
write GeoJSON, GeoParquet and annotations, compute the scores, and draw the overview.

    python benchmarks/finish.py --cells 1000000
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
import shapely
from drawn_cells import DrawnCells
from rows import Row, main

from pathopipe.annotations.write import write_cells
from pathopipe.annotations.written import WrittenCells
from pathopipe.config import load_config
from pathopipe.geometry import Rect
from pathopipe.layout import SlideFolder
from pathopipe.models.base import ModelCard
from pathopipe.pipeline import Job, Nuclei, write_results
from pathopipe.stitch.stitch import stitch
from pathopipe.store.instances import InstanceStore

CARD = ModelCard("drawn", "1", 0.5, ("Nucleus",), 64, 2, 32.0, "0" * 64, "", (), (), ())
REFERENCE_CELLS = 10_000
CHILD = "import sys, finish; finish.once(int(sys.argv[1]), finish.Path(sys.argv[2]))"


class DrawnSlide:
    """A slide that is white all over; its pixels are no part of what is measured."""

    def __init__(self, drawn: DrawnCells) -> None:
        self.info = drawn.info

    def read(self, _: Rect, width: int, height: int) -> np.ndarray:
        """Return white."""
        return np.full((height, width, 3), 255, np.uint8)


def once(cells: int, folder: Path) -> None:
    """Finish a slide of about ``cells`` cells in ``folder``, and print what it took as JSON."""
    drawn, config = DrawnCells(cells), load_config()
    tissue, out = drawn.tissue(), SlideFolder(folder / f"out-{cells}")
    tiles = drawn.grid.touching(tissue, drawn.frame)
    store = InstanceStore(folder / f"instances-{cells}", "drawn")
    out.path.mkdir(exist_ok=True)
    job = Job("drawn", "drawn.svs", out, config, CARD, 1)
    wall, laps = time.perf_counter(), [time.process_time()]
    nuclei = Nuclei(tissue, tissue.polygons, config.artefacts)
    stitched = nuclei.among(stitch(tiles, store.get, drawn.frame, config.stitch))
    written = write_cells(out.cells_geojson, out.cells_parquet, stitched, drawn.info, config.annotations)
    laps.append(time.process_time())
    found = WrittenCells.read(out.cells_parquet, CARD.classes)
    write_results(job, DrawnSlide(drawn), tissue, shapely.MultiPolygon(), {}, written, found)
    laps.append(time.process_time())
    told = {
        "cells": written.cells,
        "wall_s": time.perf_counter() - wall,
        "cells_cpu_s": laps[1] - laps[0],
        "rest_cpu_s": laps[2] - laps[1],
        "peak_gb": peak_gb(),
    }
    print(json.dumps(told))


def peak_gb() -> float:
    """Return the most memory that this process ever had, resident."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e9
    raise OSError("/proc/self/status tells no VmHWM")


def finished(cells: int, folder: Path) -> dict[str, float]:
    """Draw the instance files if they are not there, finish the slide in a fresh process, and return the figures."""
    DrawnCells(cells).put(folder / f"instances-{cells}", "drawn")
    run = subprocess.run(
        [sys.executable, "-c", CHILD, str(cells), str(folder)],
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
    least, most = finished(cells // 4, given.folder), finished(cells, given.folder)
    what = f"{most['cells']:,.0f} cells, from tiles' files to all results"
    cpu_s = most["cells_cpu_s"] + most["rest_cpu_s"]
    yield Row(f"{what}: by the clock", most["wall_s"], "s", at_most=60)
    usual_s = reference_s(cells) * most["cells"]
    yield Row(
        f"{what}: of the processor",
        cpu_s,
        "CPU s",
        f"shapely and geojson in a loop, GeoJSON alone: {usual_s:.0f} CPU s",
        usual_s / cpu_s,
        note=f"cells {most['cells_cpu_s']:.0f}, regions, scores and overview {most['rest_cpu_s']:.1f}",
    )
    yield Row(f"{what}: peak memory", most["peak_gb"], "GB", at_most=2)
    yield Row(
        "the same",
        most["peak_gb"],
        "GB",
        f"a quarter of the cells: {least['peak_gb']:.2f} GB",
        most["peak_gb"] / least["peak_gb"],
        note=f"{1000 * (most['peak_gb'] - least['peak_gb']) / (most['cells'] - least['cells']) * 1e6:.0f} MB "
        "more for a million cells more",
    )


def options(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("--cells", type=int, default=1_000_000, help="Cells of the slide, about.")


if __name__ == "__main__":
    main(__doc__, rows, options)
