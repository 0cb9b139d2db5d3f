"""Accuracy of a model and of the classical baseline on data sets that were never trained on.

    python benchmarks/accuracy.py --data FOLDER [--model NAME|FILE] [--int8 on|off] [--overlays FOLDER]

FOLDER holds ``eval/miccai_seg15`` and ``eval/tcga_glioma36``, each with images/ID.png and labels/ID.png. The first
states the objective in its file names: 20x is taken for 0.5 µm/px, 40x for 0.25. The second states no resolution: the
median diameter of its nuclei in pixels says which of the two it is (see ``GLIOMA_MPP``).

F1 is pooled over all objects at IoU > 0.5; PQ and AJI are means over the images.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from classical_baseline import segment

from pathopipe.evaluation import EvaluationResult, evaluate_labels
from pathopipe.evaluation.labels import painted
from pathopipe.geometry import Box, Outlines
from pathopipe.models.base import ModelSpec, Predictor
from pathopipe.models.border import cut_at_border, mirrored
from pathopipe.models.load import load_predictor

GLIOMA_MPP = 0.25
"""Its median nucleus is 20 to 26 px across: 5 to 6.5 µm at 0.25 µm/px; at 0.5 it would be an implausible 10 to 13."""
Segment = Callable[[np.ndarray, float], np.ndarray]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, default=os.environ.get("PATHOPIPE_TEST_DATA", "../shared/data"))
    options.add_argument("--model", default="nuclei")
    options.add_argument("--overlays", type=Path, help="Write a picture an image here, truth green, prediction red.")
    options.add_argument("--int8", choices=("auto", "on", "off"), default="auto", help="Compute in 8-bit integers.")
    chosen = options.parse_args()
    predictor = load_predictor(ModelSpec(name=chosen.model, device="cpu", int8=chosen.int8))
    ways: dict[str, Segment] = {
        "classical": segment,
        "model": lambda rgb, mpp: predict_labels(predictor, rgb, mpp),
    }
    print(f"{'set':14} {'way':10}     F1     PQ    AJI  precision recall  CPU s")
    for name in ("miccai_seg15", "tcga_glioma36"):
        for way, method in ways.items():
            began = time.process_time()
            result = evaluate_set(chosen.data / "eval" / name, method, chosen.overlays if way == "model" else None)
            whole = result.pooled
            print(
                f"{name:14} {way:10} {whole.f1:6.3f} {result.mean('pq'):6.3f} {result.mean('aji'):6.3f} "
                f"{whole.precision:9.3f} {whole.recall:7.3f} {time.process_time() - began:6.1f}"
            )


def evaluate_set(folder: Path, method: Segment, overlays: Path | None) -> EvaluationResult:
    """Return how well ``method`` does on every image of ``folder``."""
    images = {}
    for path in sorted((folder / "images").glob("*.png")):
        rgb = cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
        truth = cv2.imread(str(folder / "labels" / path.name), cv2.IMREAD_UNCHANGED).astype(np.int32)
        labels = method(rgb, mpp_of(path))
        images[path.stem] = evaluate_labels(labels, truth)
        if overlays:
            overlays.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(overlays / path.name), drawn_over(rgb, labels, truth)[..., ::-1])
    return EvaluationResult(images)


def mpp_of(path: Path) -> float:
    """Return the µm per pixel that is assumed for an image."""
    return GLIOMA_MPP if "TCGA" in path.name else (0.25 if path.stem.endswith("40x") else 0.5)


def predict_labels(predictor: Predictor, rgb: np.ndarray, mpp: float) -> np.ndarray:
    """Return the labels of ``rgb``, predicted at the model's resolution and drawn at the image's."""
    return painted(predict_scored(predictor, rgb, mpp)[0], rgb.shape[:2])


def predict_scored(predictor: Predictor, rgb: np.ndarray, mpp: float) -> tuple[Outlines, np.ndarray]:
    """Return the outlines in ``rgb`` (in its pixels), predicted at the model's resolution, and their scores (n,)."""
    height, width = rgb.shape[:2]
    scale = mpp / predictor.card.mpp
    size = round(width * scale), round(height * scale)
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    halo, stride = predictor.card.halo_px, predictor.card.stride_px
    inside = Box(0, 0, *size)
    read = Box(-halo, -halo, size[0] + halo + -size[0] % stride, size[1] + halo + -size[1] % stride)
    found = predictor.predict(mirrored(np.asarray(small, np.uint8), inside, read)[np.newaxis])[0]
    outlines, kept = cut_at_border(found.outlines, inside, read)
    placed = outlines.with_coords((outlines.coords - halo) * np.array([width / size[0], height / size[1]]))
    return placed, found.score[kept].astype(np.float64)


def drawn_over(rgb: np.ndarray, labels: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Return ``rgb`` with the borders of the truth in green and of the prediction in red."""
    picture = rgb.copy()
    for image, colour in ((truth, (0, 200, 0)), (labels, (255, 0, 0))):
        eroded = cv2.erode(image.astype(np.float32), np.ones((3, 3)))
        picture[(image > 0) & (eroded != image)] = colour
    return picture


if __name__ == "__main__":
    main()
