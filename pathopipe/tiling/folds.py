"""Where the tissue lies double: narrow bands that have more of *both* stains than the tissue around them.

Crowded nuclei add haematoxylin alone, keratin and blood add eosin alone; a second layer of the same tissue adds both.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.tiling.spec import ArtefactSpec

_AROUND_UM = 400.0
"""Side of the square that a pixel is compared with."""
_LEAST = 0.4
"""Mean optical density below which nothing is a fold."""
_DENSEST = 1.25
"""A fold is this much denser than nine tenths of the slide's tissue: else pale fat would make folds of its walls."""
_WIDEST_UM = 200.0
_SLENDER = 3.0
"""Length over width that a fold has at least."""


def folds(
    red: NDArray[np.float32],
    green: NDArray[np.float32],
    blue: NDArray[np.float32],
    tissue: NDArray[np.bool_],
    mpp: float,
    spec: ArtefactSpec,
) -> NDArray[np.bool_]:
    """Return (h, w) where the tissue is folded.

    Parameters
    ----------
    red, green, blue : (h, w) float32
        Optical densities relative to the glass.
    tissue : (h, w) bool
        Tissue without other artefacts.
    mpp : float
        µm per pixel.
    spec : ArtefactSpec
        Contrast and least area.
    """
    nothing = np.zeros(tissue.shape, bool)
    density = (red + green + blue) / np.float32(3)
    if not tissue.any():
        return nothing
    dense = density > max(_LEAST, _DENSEST * float(np.percentile(density[tissue], 90)))
    dense &= tissue
    if not dense.any():
        return nothing
    inside = tissue.astype(np.float32)
    side = round(_AROUND_UM / mpp) | 1
    area = np.maximum(_summed(inside, side), 1)
    # Red is absorbed by haematoxylin; green by both, so what it has more is eosin.
    for stain in (red, green - red):
        around = np.maximum(_summed(stain * inside, side) / area, 0.03)
        dense &= stain > spec.fold_contrast * around
    joined = cv2.morphologyEx(dense.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return _bands(np.asarray(joined, np.uint8), mpp, spec) & tissue


def _summed(plane: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    summed = cv2.boxFilter(plane, -1, (side, side), normalize=False, borderType=cv2.BORDER_REFLECT)
    return np.asarray(summed, np.float32)


def _bands(mask: NDArray[np.uint8], mpp: float, spec: ArtefactSpec) -> NDArray[np.bool_]:
    """Return the pieces of ``mask`` that are long for their width, grown by a pixel."""
    number, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    depth = cv2.distanceTransform(cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3)[1:-1, 1:-1]
    width = np.zeros(number, np.float32)
    on = mask > 0
    np.maximum.at(width, np.asarray(labels[on], np.intp), 2 * depth[on])
    area = stats[:, cv2.CC_STAT_AREA]
    # A band's length is its area over its width, however it winds; its greatest width makes a cautious estimate.
    keep = (area >= spec.min_area_um2 / mpp**2) & (width <= _WIDEST_UM / mpp)
    keep &= area >= _SLENDER * np.maximum(width, 1) ** 2
    keep[0] = False
    return cv2.dilate(keep[labels].astype(np.uint8), np.ones((3, 3), np.uint8)).astype(bool)
