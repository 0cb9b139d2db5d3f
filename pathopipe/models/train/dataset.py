"""Training images and their labels, brought to one scale and told apart into stain amounts."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.errors import ModelError
from pathopipe.models.stain import haematoxylin_od
from pathopipe.models.train.spec import ImageSet, TrainSpec

_FINEST = 2.0
"""Images are kept at most this many times finer than the working resolution: more detail would only alias."""


@dataclass(frozen=True)
class Sample:
    """A training image, kept in memory."""

    id: str
    rgb: NDArray[np.uint8]
    """(h, w, 3)"""
    labels: NDArray[np.int32]
    """(h, w) instance ids from 1; 0 is background."""
    amount: NDArray[np.float32]
    """(h, w) stain amount in optical density, without what the empty background absorbs; see :func:`_amount`."""
    scale: float
    """Factor that brings the image to the working resolution."""
    weight: float
    """How often it is drawn, relative to others."""
    ground: float
    """Median amount outside the nuclei."""


def load_samples(spec: TrainSpec) -> tuple[list[Sample], list[Sample]]:
    """Return the training samples and the held-out ones, sorted by set and name.

    Raises
    ------
    ModelError
        If a folder or a label image is missing or does not fit its image.
    """
    training: list[Sample] = []
    held_out: list[Sample] = []
    for images in spec.sets:
        groups = _groups(images.folder)
        for path in sorted((images.folder / "images").glob("*.png")):
            group = groups.get(path.stem, "")
            sample = _load(path, images, spec, images.group_weights.get(group, 1.0) * images.weight)
            named = {path.stem, group} | {path.stem[:8]}
            (held_out if named & set(images.held_out) else training).append(sample)
    if spec.sets and not training:
        folders = ", ".join(str(images.folder) for images in spec.sets)
        raise ModelError(f"no training images: expected images/*.png and labels/*.png in {folders}")
    return training, held_out


def _groups(folder: Path) -> dict[str, str]:
    """Return image id to group from ``groups.csv`` (columns id, group), where there is one."""
    path = folder / "groups.csv"
    if not path.exists():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        return {row["id"]: row["group"] for row in csv.DictReader(file)}


def _load(path: Path, images: ImageSet, spec: TrainSpec, weight: float) -> Sample:
    label_path = images.folder / "labels" / path.name
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    label_image = cv2.imread(str(label_path), cv2.IMREAD_UNCHANGED)
    if bgr is None or label_image is None:
        raise ModelError(f"cannot read {path if bgr is None else label_path}: each image needs a 16-bit PNG of ids")
    if label_image.ndim != 2 or label_image.shape != bgr.shape[:2]:
        raise ModelError(f"{label_path} has shape {label_image.shape}, its image {bgr.shape[:2]}")
    rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    labels = np.asarray(label_image, np.int32)
    scale = images.mpp / spec.mpp if images.mpp else spec.median_nucleus_px / _median_diameter(labels, label_path)
    if scale * _FINEST < 1:
        size = [round(side * scale * _FINEST) for side in (rgb.shape[1], rgb.shape[0])]
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        labels = np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), np.int32)
        scale = 1 / _FINEST
    amount = _amount(rgb, labels)
    outside = amount[labels == 0]
    ground = float(np.median(outside)) if outside.size else 0.0
    return Sample(path.stem, rgb, labels, amount, scale, weight, ground)


def _median_diameter(labels: NDArray[np.integer], path: Path) -> float:
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    if not areas.size:
        raise ModelError(f"{path} has no nuclei to take the scale from: give the set its mpp")
    return float(2 * np.sqrt(np.median(areas) / np.pi))


def _amount(rgb: NDArray[np.uint8], labels: NDArray[np.integer]) -> NDArray[np.float32]:
    """Return how much nuclear stain lies on every pixel.

    Images stained with haematoxylin alone: the mean optical density. Pink images: the haematoxylin of the colour
    deconvolution, since there eosin is dense too. What the palest tenth absorbs is taken for glass and subtracted.
    """
    od = -np.log10(np.maximum(rgb, 1).astype(np.float32) / 255)
    outside = od[labels == 0]
    red, _, blue = np.median(outside, axis=0) if len(outside) else np.zeros(3)
    pink = blue > red + 0.02
    amount = haematoxylin_od(rgb) if pink else od.mean(axis=2) * 1.4
    return np.asarray(np.maximum(amount - np.percentile(amount, 10), 0), np.float32)
