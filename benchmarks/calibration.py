"""Is a cell's score the probability that it is one? And is 20x input worse than 40x?

    python benchmarks/calibration.py --data FOLDER [--model NAME|FILE] [--images N] [--no-page]

FOLDER holds ``eval/miccai_seg15``, whose file names say 20x or 40x, and ``eval/tcga_glioma36``. A detection is right if
it shares more than half of the union with a true nucleus, so what is called wrong here includes nuclei that were found
and outlined badly. Writes the section "calibration" of docs/robustness.md and docs/images/calibration.png.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from accuracy import mpp_of, predict_scored
from chart import Curve, Panel, save_panels
from numpy.typing import NDArray
from pages import DOCS, fill_section, page_options, table
from reliability import BINS, Reliability, matched, reliability, wilson
from robustness import SETS, sets_of

from pathopipe.evaluation import Agreement, evaluate_labels, pooled
from pathopipe.evaluation.labels import painted
from pathopipe.models.base import ModelSpec, Predictor
from pathopipe.models.load import load_predictor

FEW = 20
"""Bins with fewer detections are not drawn; they count in the error all the same."""


@dataclass(frozen=True)
class Judged:
    """The detections of one image."""

    score: NDArray[np.float64]
    """(n,)"""
    right: NDArray[np.bool_]
    """(n,) whether it matches a true nucleus at IoU > 0.5."""
    agreement: Agreement


def main() -> None:
    chosen = page_options(__doc__.splitlines()[0]).parse_args()
    cv2.setNumThreads(1)
    predictor = load_predictor(ModelSpec(name=chosen.model, device="cpu"))
    groups: dict[str, list[Judged]] = {}
    with sets_of(chosen.data / "eval", chosen.images) as folders:
        for name, folder in folders.items():
            for path in sorted((folder / "images").glob("*.png")):
                groups.setdefault(group_of(name, path), []).append(judged(predictor, folder, path))
    images = f"{chosen.images} images of each set" if chosen.images else "all images"
    note = (
        f"Model `{predictor.card.name}` {predictor.card.version} (SHA-256 {predictor.card.sha256[:12]}), {images}. "
        "`python benchmarks/calibration.py`."
    )
    text = section(groups, note)
    print(text)
    if not chosen.no_page:
        save_panels(DOCS / "images" / "calibration.png", [panel(name, each) for name, each in groups.items()], 2)
        fill_section(DOCS / "robustness.md", "calibration", text)


def group_of(name: str, path: Path) -> str:
    """Return the set, with the objective where the set has several."""
    objective = next((power for power in ("20x", "40x") if path.stem.endswith(power)), "")
    return f"{SETS[name]} {objective}".strip()


def judged(predictor: Predictor, folder: Path, path: Path) -> Judged:
    """Return the detections in the image ``path`` of ``folder``, each right or wrong."""
    rgb = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    truth = cv2.imread(str(folder / "labels" / path.name), cv2.IMREAD_UNCHANGED).astype(np.int32)
    outlines, score = predict_scored(predictor, rgb, mpp_of(path))
    labels = painted(outlines, truth.shape)
    return Judged(score, matched(labels, truth, len(score)), evaluate_labels(labels, truth))


def joined(images: list[Judged]) -> Reliability:
    """Return the reliability over all detections of ``images``."""
    return reliability(np.concatenate([each.score for each in images]), np.concatenate([each.right for each in images]))


def section(groups: dict[str, list[Judged]], note: str) -> str:
    """Return the section as Markdown."""
    rows, bins = [], []
    for name, images in groups.items():
        whole, curve = pooled(each.agreement for each in images), joined(images)
        score = np.concatenate([each.score for each in images])
        pq = np.mean([each.agreement.pq for each in images if each.agreement.pq is not None])
        rows.append(
            [name, f"{len(images)}", f"{whole.truth}", f"{whole.predicted}"]
            + [f"{value:.3f}" for value in (whole.f1, pq, whole.recall, whole.precision, score.mean(), curve.error)]
        )
        shares = zip(curve.right, curve.count, strict=True)
        bins.append([name, *(f"{right:.2f} ({count})" if count else "" for right, count in shares)])
    head = ["images", "number", "true nuclei", "detections", "F1", "PQ", "recall", "share right", "mean score", "ECE"]
    edges = [f"{index / BINS:g}–{(index + 1) / BINS:g}" for index in range(BINS)]
    picture = "![Share of detections that are right by their score](images/calibration.png)"
    told = "Share right (detections) by score:"
    return "\n\n".join([note, table(head, rows), picture, told, table(["score", *edges], bins)])


def panel(name: str, images: list[Judged]) -> Panel:
    """Return the reliability plot of one group."""
    curve = joined(images)
    drawn = [index for index in range(BINS) if curve.count[index] >= FEW]
    points = tuple((float(curve.score[index]), float(curve.right[index])) for index in drawn)
    spans = tuple(wilson(float(curve.right[index]), int(curve.count[index])) for index in drawn)
    ticks = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)
    line = Curve("share right, 95 % interval; dashed: score = share", points, spans)
    title = f"{name}: error {curve.error:.3f}"
    return Panel(title, "score", (0.0, 1.0), (0.0, 1.0), ticks, ticks, (line,), diagonal=True)


if __name__ == "__main__":
    main()
