"""Choose how a model's maps become outlines, on the images that were held out of its training.

    python tune.py nuclei.safetensors [--config nuclei.yaml]

Every held-out image is shown at three scales, since slides are rarely at exactly the resolution that they state. First
the two thresholds are varied together, then the other settings one by one around the best pair. The score is the mean
of F1 (all nuclei, IoU > 0.5) and of the mean PQ.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch

from pathopipe.cli.train import train_spec
from pathopipe.evaluation import EvaluationResult, evaluate_labels
from pathopipe.models.card import DecodeSpec, read_model_file
from pathopipe.models.net_file import load_net
from pathopipe.models.network import StarNet, folded
from pathopipe.models.train.dataset import load_samples
from pathopipe.models.train.sample import Sample
from pathopipe.models.train.validate import Seen, labels_of, look

SCALES = (0.8, 1.0, 1.25)
THRESHOLDS = (0.35, 0.4, 0.45, 0.5, 0.55, 0.6)
FOREGROUNDS = (0.4, 0.45, 0.5, 0.55)
OTHERS = {"overlap": (0.4, 0.5, 0.6, 0.7), "prominence": (0.04, 0.08, 0.12, 0.16, 0.2)}
View = tuple[str, Seen, np.ndarray]


def main() -> None:
    """Print what was tried, the best first."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("model", type=Path)
    options.add_argument("--config", type=Path, default=Path(__file__).parent / "nuclei.yaml")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    spec = train_spec(chosen.config, [], None)
    _, held_out = load_samples(spec)
    file = read_model_file(chosen.model)
    net = folded(load_net(file)).to(memory_format=torch.channels_last)
    views = [seen(net, sample, scale) for sample in held_out for scale in SCALES]
    longest = spec.max_diameter_um / spec.mpp
    print(f"{len(held_out)} images, {sum(int(sample.labels.max()) for sample in held_out)} nuclei, scales {SCALES}")
    grid = {
        decoding: figures(views, decoding, longest)
        for threshold in THRESHOLDS
        for foreground in FOREGROUNDS
        for decoding in [DecodeSpec(threshold=threshold, foreground=foreground)]
    }
    best = max(grid, key=lambda decoding: sum(grid[decoding][:2]))
    for name, values in OTHERS.items():
        tried = [best.model_copy(update={name: value}) for value in values]
        grid |= {decoding: figures(views, decoding, longest) for decoding in tried if decoding not in grid}
    print("threshold foreground overlap prominence     F1     PQ    AJI  precision recall")
    for each, (f1, pq, aji, precision, recall) in sorted(grid.items(), key=lambda item: -sum(item[1][:2])):
        print(
            f"{each.threshold:9} {each.foreground:10} {each.overlap:7} {each.prominence:10} "
            f"{f1:6.3f} {pq:6.3f} {aji:6.3f} {precision:10.3f} {recall:6.3f}"
        )


def seen(net: StarNet, sample: Sample, scale: float) -> View:
    """Return what ``net`` says about ``sample`` at ``scale`` times the working resolution, and the truth there."""
    factor = sample.scale * scale
    size = [max(1, round(side * factor)) for side in sample.labels.shape[::-1]]
    rgb = cv2.resize(sample.rgb, size, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR)
    truth = cv2.resize(sample.labels, size, interpolation=cv2.INTER_NEAREST)
    return f"{sample.id} {scale}", look(net, np.asarray(rgb, np.uint8)), truth


def figures(views: list[View], decoding: DecodeSpec, longest: float) -> tuple[float, ...]:
    """Return F1, PQ, AJI, precision and recall."""
    result = EvaluationResult(
        {name: evaluate_labels(labels_of(view, decoding, longest), truth) for name, view, truth in views}
    )
    whole = result.pooled
    found = whole.f1, result.mean("pq"), result.mean("aji"), whole.precision, whole.recall
    return tuple(figure or 0.0 for figure in found)


if __name__ == "__main__":
    main()
