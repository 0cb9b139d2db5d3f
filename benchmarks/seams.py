"""Are cells exact at the seams, are outputs the same bytes, and how much memory does a run take?

Draws a slide, analyses it with three tile sizes and with one very large tile size as the untiled reference, counts the
nuclei that tiling loses or doubles, compares the bytes of serial, one and two workers, and takes the peak memory of
every process.

    python benchmarks/seams.py --size 20000
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
import shapely
from command import Ran, pathopipe

from pathopipe.annotations.read import read_outlines
from pathopipe.geometry import Outlines

RESULTS = ("cells.geojson.zip", "cells.parquet", "annotations.geojson", "scores.json", "overview.png")


def peak_gb(took: Ran) -> float:
    """Return the most memory of any one process."""
    return max(took.coordinator_bytes, took.worker_bytes) / 1e9


def matched(found: Outlines, reference: Outlines, iou: float) -> np.ndarray:
    """Return for every reference outline how many found ones overlap it with at least ``iou``."""
    one, other = (shapely.make_valid(outlines.to_shapely()) for outlines in (reference, found))
    first, second = shapely.STRtree(other).query(one)
    shared = shapely.area(shapely.intersection(one[first], other[second]))
    union = shapely.area(one[first]) + shapely.area(other[second]) - shared
    return np.bincount(first[shared >= iou * union], minlength=len(reference))


def main() -> None:
    """Run the benchmark and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=20_000, help="side of the drawn slide in level-0 pixels")
    parser.add_argument("--tiles", type=int, nargs="+", default=[512, 1024, 1536], help="tile sizes to compare")
    parser.add_argument("--reference", type=int, default=4096, help="tile size of the untiled reference")
    parser.add_argument("--folder", type=Path, help="where to work; a temporary folder by default")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        slide = folder / f"drawn-{given.size}.svs"
        if not slide.exists():
            took = pathopipe("synth", "--size", given.size, given.size, "--out", slide, "--workers", 1, "-q")
            print(f"drawn in {took.seconds:.0f} s, peak {peak_gb(took):.2f} GB a process", flush=True)
        truth = read_outlines(slide.with_suffix(".truth.geojson.zip")).outlines
        print(f"{len(truth):,} drawn nuclei", flush=True)

        def run(name: str, *options: object) -> Outlines:
            out = folder / name
            took = pathopipe("run", slide, "--out", out, "-q", *options)
            cells = read_outlines(out / slide.stem / "cells.geojson.zip").outlines
            stages = json.loads((out / slide.stem / "slide.json").read_text())["seconds"]
            print(
                f"{name:16} {len(cells):8,} cells {took.seconds:7.0f} s  peak {peak_gb(took):.2f} GB a process  "
                f"{stages}",
                flush=True,
            )
            return cells

        reference = run("untiled", "--workers", 1, "--set", f"grid.tile_px={given.reference}")
        found = matched(reference, truth, 0.5) > 0
        print(f"untiled finds {found.sum():,} of the drawn nuclei", flush=True)
        for tile in given.tiles:
            cells = run(f"tile-{tile}", "--workers", 2, "--set", f"grid.tile_px={tile}")
            times = matched(cells, truth, 0.5)[found]
            again = matched(cells, reference, 0.5)
            print(
                f"  of those, lost {np.count_nonzero(times == 0)}, doubled {np.count_nonzero(times > 1)}; of all "
                f"{len(reference):,} cells found untiled, lost {np.count_nonzero(again == 0)}, "
                f"doubled {np.count_nonzero(again > 1)}; new {np.count_nonzero(matched(reference, cells, 0.5) == 0)}",
                flush=True,
            )
        middle = given.tiles[len(given.tiles) // 2]
        for name, *options in (("serial", "--cluster", "serial"), ("one-worker", "--workers", 1)):
            run(name, *options, "--set", f"grid.tile_px={middle}")
            same = all(
                (folder / name / slide.stem / file).read_bytes()
                == (folder / f"tile-{middle}" / slide.stem / file).read_bytes()
                for file in RESULTS
            )
            print(
                f"  {name}: {'the same bytes as two workers' if same else 'OTHER BYTES than two workers'}", flush=True
            )


if __name__ == "__main__":
    main()
