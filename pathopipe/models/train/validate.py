"""How well a network does on the held-out images, at the working resolution."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.evaluation import Agreement, EvaluationResult, evaluate_labels
from pathopipe.geometry import Outlines
from pathopipe.models.card import DecodeSpec
from pathopipe.models.inference import infer
from pathopipe.models.network import OUTPUT_STRIDE, STRIDE, StarNet, folded, reach_px
from pathopipe.models.postprocess import decode
from pathopipe.models.train.sample import Sample
from pathopipe.models.train.spec import TrainSpec
from pathopipe.models.train.state import Scores, State

_LEAST_INSIDE = 0.3
"""Share of its area inside the image from which a nucleus counts, as at the border of a slide (docs/adr/0007)."""
Labels = NDArray[np.int32]


def validate(state: State, samples: Iterable[Sample], spec: TrainSpec) -> Scores:
    """Return how well the averaged weights do on ``samples``: F1 over all nuclei, PQ and AJI as means of the images."""
    judged = copy.deepcopy(state.net)
    judged.load_state_dict(state.average)
    folded(judged)
    result = EvaluationResult({f"{index}": _agreement(judged, sample, spec) for index, sample in enumerate(samples)})
    return {"step": state.step, "f1": result.pooled.f1, "pq": result.mean("pq"), "aji": result.mean("aji")}


def _agreement(net: StarNet, sample: Sample, spec: TrainSpec) -> Agreement:
    height, width = sample.labels.shape
    size = max(1, round(width * sample.scale)), max(1, round(height * sample.scale))
    shrinks = cv2.INTER_AREA if sample.scale < 1 else cv2.INTER_LINEAR
    rgb = np.asarray(cv2.resize(sample.rgb, size, interpolation=shrinks), np.uint8)
    truth = np.asarray(cv2.resize(sample.labels, size, interpolation=cv2.INTER_NEAREST), np.int32)
    return evaluate_labels(predicted_labels(net, rgb, spec), truth)


def predicted_labels(net: StarNet, rgb: NDArray[np.uint8], spec: TrainSpec) -> Labels:
    """Return the nuclei that ``net`` (its normalisation folded) finds in ``rgb`` as labels (h, w).

    Parameters
    ----------
    net : StarNet
    rgb : (h, w, 3) uint8
        At the working resolution; beyond its border the network sees it mirrored.
    spec : TrainSpec
        The threshold and the largest diameter.
    """
    height, width = rgb.shape[:2]
    halo = reach_px(spec.net)
    halo += -halo % STRIDE
    below, right = halo + -height % STRIDE, halo + -width % STRIDE
    tile = cv2.copyMakeBorder(rgb, halo, below, halo, right, cv2.BORDER_REFLECT)
    output = infer(net, np.asarray(tile, np.uint8)[np.newaxis], False)[0]
    probability, foreground = output.maps[:2]
    longest = spec.max_diameter_um / spec.mpp
    found = decode(
        probability, foreground, output.distances, DecodeSpec(threshold=spec.threshold), OUTPUT_STRIDE, longest
    )
    return _cut(_painted(found[0], tile.shape[:2]), halo, height, width)


def _painted(outlines: Outlines, shape: tuple[int, ...]) -> Labels:
    """Return ``outlines`` as labels of ``shape``: the pixels whose centres they contain, about."""
    labels = np.zeros(shape, np.int32)
    for index in range(len(outlines)):
        ring = np.round(outlines.ring(index) * 64 - 32).astype(np.int32)  # 4 times finer, 4 bits of fraction
        x0, y0 = np.maximum((ring.min(axis=0) >> 6) - 1, 0)
        x1, y1 = np.minimum((ring.max(axis=0) >> 6) + 3, (shape[1], shape[0]))
        if x1 > x0 and y1 > y0:
            fine = np.zeros(((y1 - y0) * 4, (x1 - x0) * 4), np.uint8)
            # cv2 has pixel centres at whole numbers and paints the border pixels too, hence the finer grid
            cv2.fillPoly(fine, [ring - (x0 * 64, y0 * 64) + 24], 255, shift=4)
            inside = cv2.resize(fine, (int(x1 - x0), int(y1 - y0)), interpolation=cv2.INTER_AREA) > 127
            labels[y0:y1, x0:x1][inside] = index + 1
    return labels


def _cut(labels: Labels, halo: int, height: int, width: int) -> Labels:
    """Return the image's part of the mirrored tile, without what mostly lies outside of it."""
    inner = labels[halo : halo + height, halo : halo + width]
    whole = np.bincount(labels.ravel())
    inside = np.bincount(inner.ravel(), minlength=len(whole))
    stays = inside >= _LEAST_INSIDE * np.maximum(whole, 1)
    return np.where(stays[inner], inner, 0).astype(np.int32)
