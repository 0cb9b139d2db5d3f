"""How much memory a run takes, process by process, as slides grow.

    python benchmarks/memory.py [--sides 8192 32768 102400] [--tissue 8192] [--workers 2]

102,400 px squared are 10.5 gigapixels. The slides have the same square of tissue on ever more glass; with
`--share 0.25` the tissue grows with the slide (and so does the time). Peaks are the kernel's (VmHWM), of the process
that coordinates and of the largest worker.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator

from command import pathopipe
from repeated import STEP_PX, repeated_slide
from rows import Row, main

GB = 1e9


def rows(given: argparse.Namespace) -> Iterator[Row]:
    sides = (8192, 16_384) if given.quick else given.sides
    before: tuple[str, float, float] | None = None
    for side in sides:
        tissue = given.tissue
        if given.share:
            tissue = max(1, round(side * given.share**0.5 / STEP_PX)) * STEP_PX
        slide = repeated_slide(given.folder, side, tissue, STEP_PX)
        out = given.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        ran = pathopipe("run", slide, "--out", out, "--workers", given.workers, "--device", "cpu", "-q")
        record = json.loads((out / slide.stem / "slide.json").read_text(encoding="utf-8"))
        name = f"{side**2 / 1e9:.2g} gigapixels, {record['tissue_mm2']:.0f} mm² of tissue, {record['cells']:,} cells"
        worker, own = ran.worker_bytes / GB, ran.coordinator_bytes / GB
        compared = {} if before is None else {"reference": f"{before[0]}: {before[1]:.2f}", "ratio": worker / before[1]}
        yield Row(f"{name}: largest worker", worker, "GB", **compared, at_most=1.1 if compared else 2.0)
        compared = {} if before is None else {"reference": f"{before[0]}: {before[2]:.2f}", "ratio": own / before[2]}
        yield Row(f"{name}: coordinating process", own, "GB", **compared, at_most=1.1 if compared else None)
        before = (f"{side**2 / 1e9:.2g} gigapixels", worker, own)
        shutil.rmtree(out)


def more_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--sides", type=int, nargs="+", default=[8192, 32_768, 102_400], help="in level-0 pixels")
    options.add_argument("--tissue", type=int, default=2 * STEP_PX, help="side of the tissue, in level-0 pixels")
    options.add_argument("--share", type=float, help="of the slide that is tissue, instead of --tissue")
    options.add_argument("--workers", type=int, default=2)


if __name__ == "__main__":
    main(__doc__, rows, more_options)
