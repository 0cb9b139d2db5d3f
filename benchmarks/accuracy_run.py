"""Accuracy through ``pathopipe run``: the evaluation images as slides, beside the classical baseline.

    python benchmarks/accuracy_run.py --data FOLDER [--model NAME|FILE] [--from-20x]

With ``--from-20x`` images of 0.25 µm/px are halved first, as a scanner with a 20x objective would give them; the truth
stays as it is.

The whole flow with its defaults, but for the tissue mask, which is off: the images are tissue. F1 is pooled over
all nuclei, PQ and AJI are means; the interval is of the difference in F1, by bootstrap over the images, paired. The
kinds of the errors follow.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import tifffile
from accuracy import evaluate_set, mpp_of
from classical_baseline import segment

from pathopipe.annotations.read import read_outlines
from pathopipe.evaluation import Difference, EvaluationResult, errors_text, evaluate_labels
from pathopipe.evaluation.labels import painted

COARSE_MPP = 0.5
"""Of a 20x objective."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, default=os.environ.get("PATHOPIPE_TEST_DATA", "../shared/data"))
    options.add_argument("--model", default="nuclei")
    options.add_argument("--from-20x", action="store_true", help="Halve images of 0.25 µm/px first.")
    chosen = options.parse_args()
    data = chosen.data
    for name in ("miccai_seg15", "tcga_glioma36"):
        folder = data / "eval" / name
        with tempfile.TemporaryDirectory() as work:
            ours = through_run(folder, Path(work), chosen.model, COARSE_MPP if chosen.from_20x else 0)
        theirs = evaluate_set(folder, segment, None)
        gap = Difference(ours, theirs)
        one, other = ours.pooled, theirs.pooled
        low, high = gap.intervals.pooled["f1"]
        print(
            f"{name:14} run F1 {one.f1:.3f} (precision {one.precision:.3f}, recall {one.recall:.3f}), "
            f"PQ {ours.mean('pq'):.3f}, AJI {ours.mean('aji'):.3f}; classical {other.f1:.3f}, "
            f"difference {gap.pooled['f1']:+.3f} [{low:+.3f}, {high:+.3f}]\n{errors_text(one)}",
            flush=True,
        )


def through_run(folder: Path, work: Path, model: str, least_mpp: float) -> EvaluationResult:
    """Return image stem to agreement for every image of ``folder``, analysed by the command line in ``work``.

    Images finer than ``least_mpp`` (µm/px) are brought to it first.
    """
    images = sorted((folder / "images").glob("*.png"))
    (work / "slides").mkdir()
    for path in images:
        factor = max(least_mpp / mpp_of(path), 1)
        per_cm = 1e4 / (mpp_of(path) * factor)
        rgb = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        if factor > 1:
            rgb = cv2.resize(rgb, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
        tifffile.imwrite(
            work / "slides" / f"{path.stem}.tif",
            rgb,
            tile=(256, 256),
            photometric="rgb",
            resolution=(per_cm, per_cm),
            resolutionunit="CENTIMETER",
        )
    command = [sys.executable, "-m", "pathopipe", "run", work / "slides", "--out", work / "out", "--model", model, "-q"]
    subprocess.run([*command, "--set", "tissue.enabled=false"], check=True, stdout=subprocess.DEVNULL)
    found = {}
    for path in images:
        truth = cv2.imread(str(folder / "labels" / path.name), cv2.IMREAD_UNCHANGED).astype(np.int32)
        outlines = read_outlines(work / "out" / path.stem / "cells.geojson.zip").outlines
        factor = max(least_mpp / mpp_of(path), 1)
        found[path.stem] = evaluate_labels(painted(outlines.with_coords(outlines.coords * factor), truth.shape), truth)
    return EvaluationResult(found)


if __name__ == "__main__":
    main()
