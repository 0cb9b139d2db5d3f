"""A training image in memory: its labels, the classes of its nuclei, and its stain amounts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.models.stain import haematoxylin_od
from pathopipe.models.train.classes import NOT_ANNOTATED

FINEST = 2.0
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
    marks: NDArray[np.uint8]
    """(h, w) k + 1 on nuclei of class k, 0 where the class is not known or there is no nucleus, 255 where nothing is
    known at all; see :mod:`pathopipe.models.train.classes`."""


class Listed(NamedTuple):
    """A sample as its set lists it."""

    sample: Sample
    group: str
    """What must not be split between training and held-out images: those of one group look alike."""
    held_out: bool
    """Whether the set says that it is not trained on."""


def sample_of(
    name: str,
    rgb: NDArray[np.uint8],
    labels: NDArray[np.int32],
    marks: NDArray[np.uint8],
    scale: float,
    weight: float,
) -> Sample:
    """Return the sample of an image: shrunk where it is finer than is of use, told apart into stain amounts.

    Parameters
    ----------
    name : str
        Its id.
    rgb : (h, w, 3) uint8
    labels : (h, w) int32
    marks : (h, w) uint8
        As in :class:`Sample`.
    scale : float
        Factor that brings the image to the working resolution.
    weight : float
        How often it is drawn, relative to others.
    """
    if scale * FINEST < 1:
        size = [round(side * scale * FINEST) for side in (rgb.shape[1], rgb.shape[0])]
        rgb = np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA), np.uint8)
        labels = np.asarray(cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST), np.int32)
        marks = np.asarray(cv2.resize(marks, size, interpolation=cv2.INTER_NEAREST), np.uint8)
        scale = 1 / FINEST
    background = (labels == 0) & (marks != NOT_ANNOTATED)
    amount = _amount(rgb, background)
    ground = float(np.median(amount[background])) if background.any() else 0.0
    return Sample(name, rgb, labels, amount, scale, weight, ground, marks)


def _amount(rgb: NDArray[np.uint8], background: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return how much nuclear stain lies on every pixel.

    Images stained with haematoxylin alone: the mean optical density. Pink images: the haematoxylin of the colour
    deconvolution, since there eosin is dense too. What the palest tenth absorbs is taken for glass and subtracted.
    """
    od = -np.log10(np.maximum(rgb, 1).astype(np.float32) / 255)
    outside = od[background]
    red, _, blue = np.median(outside, axis=0) if len(outside) else np.zeros(3)
    pink = blue > red + 0.02
    amount = haematoxylin_od(rgb) if pink else od.mean(axis=2) * 1.4
    return np.asarray(np.maximum(amount - np.percentile(amount, 10), 0), np.float32)
