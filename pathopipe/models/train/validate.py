"""How well a network does on the held-out images, at the working resolution."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.evaluation import EvaluationResult
from pathopipe.evaluation.labels import painted
from pathopipe.geometry import Box
from pathopipe.models.border import cut_at_border, mirrored
from pathopipe.models.card import DecodeSpec
from pathopipe.models.classify import classified
from pathopipe.models.inference import TileOutput, infer
from pathopipe.models.network import OUTPUT_STRIDE, STRIDE, StarNet, folded, reach_px
from pathopipe.models.postprocess import decode
from pathopipe.models.train.judge import Judged, judged
from pathopipe.models.train.sample import Sample
from pathopipe.models.train.spec import TrainSpec
from pathopipe.models.train.state import Scores, State

Labels = NDArray[np.int32]


def validate(state: State, samples: Iterable[Sample], spec: TrainSpec) -> Scores:
    """Return how well the averaged weights do on ``samples``: F1 over all nuclei, PQ and AJI as means of the images.

    Where there are several classes also the share of found nuclei, among those of known class, that got theirs.
    """
    net = copy.deepcopy(state.net)
    net.load_state_dict(state.average)
    folded(net)
    images = [_judged(net, sample, spec) for sample in samples]
    result = EvaluationResult({f"{index}": image.agreement for index, image in enumerate(images)})
    scores = {"step": state.step, "f1": result.pooled.f1, "pq": result.mean("pq"), "aji": result.mean("aji")}
    if spec.net.classes > 1:
        classed = sum(image.classed for image in images)
        scores["class_accuracy"] = sum(image.right for image in images) / classed if classed else None
    return scores


def _judged(net: StarNet, sample: Sample, spec: TrainSpec) -> Judged:
    height, width = sample.labels.shape
    size = max(1, round(width * sample.scale)), max(1, round(height * sample.scale))
    shrinks = cv2.INTER_AREA if sample.scale < 1 else cv2.INTER_LINEAR
    rgb = np.asarray(cv2.resize(sample.rgb, size, interpolation=shrinks), np.uint8)
    truth = np.asarray(cv2.resize(sample.labels, size, interpolation=cv2.INTER_NEAREST), np.int32)
    marks = np.asarray(cv2.resize(sample.marks, size, interpolation=cv2.INTER_NEAREST), np.uint8)
    decoding = DecodeSpec(threshold=spec.threshold, foreground=spec.foreground)
    return judged(*nuclei_of(look(net, rgb), decoding, spec.max_diameter_um / spec.mpp), truth, marks)


class Seen(NamedTuple):
    """What a network says about a whole image."""

    output: TileOutput
    inside: Box
    """The image."""
    read: Box
    """What the network saw: the image and its mirror image around it."""


def look(net: StarNet, rgb: NDArray[np.uint8]) -> Seen:
    """Return what ``net`` (its normalisation folded) says about ``rgb`` (h, w, 3), at the working resolution."""
    height, width = rgb.shape[:2]
    halo = reach_px(net.spec)
    halo += -halo % STRIDE
    inside = Box(0, 0, width, height)
    read = Box(-halo, -halo, width + halo + -width % STRIDE, height + halo + -height % STRIDE)
    return Seen(infer(net, mirrored(rgb, inside, read)[np.newaxis], False)[0], inside, read)


def labels_of(seen: Seen, spec: DecodeSpec, longest_px: float) -> Labels:
    """Return the nuclei of an image as labels (h, w); none is longer than ``longest_px``."""
    return nuclei_of(seen, spec, longest_px)[0]


def nuclei_of(seen: Seen, spec: DecodeSpec, longest_px: float) -> tuple[Labels, NDArray[np.uint8]]:
    """Return the nuclei of an image as labels (h, w), and (n,) their classes; see :func:`labels_of`."""
    probability, foreground, *classes = seen.output.maps
    found = decode(probability, foreground, seen.output.distances, spec, OUTPUT_STRIDE, longest_px)
    outlines, kept = cut_at_border(found.outlines, seen.inside, seen.read)
    class_id = np.zeros(len(kept), np.uint8)
    if classes:
        class_id = classified(np.stack(classes), found.regions, found.region)[0]
    shifted = outlines.with_coords(outlines.coords + np.array([seen.read.x0, seen.read.y0]))
    return painted(shifted, (seen.inside.height, seen.inside.width)), class_id[kept]
