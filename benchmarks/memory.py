"""How much memory a run takes, process by process, as slides grow.

    python benchmarks/memory.py [--sides 20480 32768 102400] [--tissue 16384] [--workers 2]

102,400 px squared are 10.5 gigapixels. The slides have the same square of tissue on ever more glass, large enough to
hold whole tiles wherever the grid lies, and the one of 1 gigapixel once more with four times the tissue; with
`--share 0.25` the tissue grows with the slide (and so does the time). What is compared is compared with 1 gigapixel.
Peaks are the kernel's (VmHWM), of the process that coordinates and of the largest worker.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator

from command import Ran, pathopipe
from repeated import STEP_PX, repeated_slide
from rows import Row, main

GB = 1e9
UM_PER_PX, OVERVIEW_UM = 0.25, 8.0
"""Of the slides, and of the picture that the tissue is found on (``tissue.mpp``)."""


def rows(given: argparse.Namespace) -> Iterator[Row]:
    first: tuple[str, Ran] | None = None
    for side, tissue in slides(given):
        slide = repeated_slide(given.folder, side, tissue, STEP_PX)
        out = given.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        ran = pathopipe("run", slide, "--out", out, "--workers", given.workers, "--device", "cpu", "-q")
        record = json.loads((out / slide.stem / "slide.json").read_text(encoding="utf-8"))
        shutil.rmtree(out)
        size = f"{side**2 / 1e9:.2g} gigapixels, {record['tissue_mm2']:.0f} mm² of tissue"
        name = f"{size}, {record['cells']:,} cells"
        overview = min(16.0, (side * UM_PER_PX / OVERVIEW_UM) ** 2 / 1e6)
        yield row(f"{name}: largest worker", ran.worker_bytes, first and (first[0], first[1].worker_bytes), 2.0)
        yield row(
            f"{name}: coordinating process",
            ran.coordinator_bytes,
            first and (first[0], first[1].coordinator_bytes),
            note=f"its overview has {overview:.2g} megapixels",
        )
        if first is None and side**2 >= GB:
            first = size, ran


def slides(given: argparse.Namespace) -> list[tuple[int, int]]:
    """Return the sides of the slides and of their tissue, in level-0 pixels."""
    if given.quick:
        return [(8192, 4096), (16_384, 4096)]
    if given.share:
        return [(side, max(1, round(side * given.share**0.5 / STEP_PX)) * STEP_PX) for side in given.sides]
    gigapixel = next((side for side in given.sides if side**2 >= GB and side >= 2 * given.tissue), None)
    more = [] if gigapixel is None else [(gigapixel, 2 * given.tissue)]
    return [(side, given.tissue) for side in given.sides] + more


def row(what: str, peak: int, first: tuple[str, int] | None, most: float | None = None, note: str = "") -> Row:
    """Return a peak in bytes, beside that of 1 gigapixel where it has been measured; ``most`` is in GB, without one."""
    if first is None:
        return Row(what, peak / GB, "GB", at_most=most, note=note)
    return Row(what, peak / GB, "GB", f"{first[0]}: {first[1] / GB:.2f}", peak / first[1], at_most=1.1, note=note)


def more_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--sides", type=int, nargs="+", default=[20_480, 32_768, 102_400], help="in level-0 pixels")
    options.add_argument("--tissue", type=int, default=4 * STEP_PX, help="side of the tissue, in level-0 pixels")
    options.add_argument("--share", type=float, help="of the slide that is tissue, instead of --tissue")
    options.add_argument("--workers", type=int, default=2)


if __name__ == "__main__":
    main(__doc__, rows, more_options)
