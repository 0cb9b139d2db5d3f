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
_LEAST = 0.3
"""Mean optical density below which nothing is a fold."""
_DENSEST = 1.0
"""A fold is this much denser than nine tenths of the slide's tissue: else pale fat would make folds of its walls."""
_WIDEST_UM = 200.0
_BESIDE_PX = 7
"""How far from a band the tissue is that it is compared with, in pixels of the picture."""
_DENSE_SIDE = 90
_THAN_DENSE = 1.4
"""How much denser a band must be than this percentile of the tissue beside it: one side may be full of holes."""
_FAINT = 0.06
"""Optical density below which a pixel's hue is noise."""
_HUE = 0.88, 1.15
"""How far a fold's hue may be from that of the tissue beside it, as ratios of red and of blue to green density: blood
has relatively less red, dyes that mark a specimen's margin more blue."""
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
    del density
    if not dense.any():
        return nothing
    inside = tissue.astype(np.float32)
    side = round(_AROUND_UM / mpp) | 1
    area = np.maximum(_summed(inside, side), 1)
    # Red is absorbed by haematoxylin; green by both, so what it has more is eosin.
    for stain in (green - red, red):
        around = _summed(stain * inside, side)
        around /= area
        np.maximum(around, 0.03, out=around)
        around *= spec.fold_contrast
        dense &= stain > around
    joined = cv2.morphologyEx(dense.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    bands = _bands(np.asarray(joined, np.uint8), mpp, spec)
    return _of_the_same_tissue(bands, red, green, blue, tissue, spec.fold_contrast)


def _of_the_same_tissue(
    bands: NDArray[np.uint8],
    red: NDArray[np.float32],
    green: NDArray[np.float32],
    blue: NDArray[np.float32],
    tissue: NDArray[np.bool_],
    contrast: float,
) -> NDArray[np.bool_]:
    """Return those of ``bands`` that are denser than the tissue beside them and of its hue, grown by a pixel."""
    number, labels, stats, _ = cv2.connectedComponentsWithStats(bands, connectivity=8)
    found = np.zeros(tissue.shape, bool)
    for index in range(1, number):
        x, y, width, height = stats[index, :4].tolist()
        part = (
            slice(max(0, y - _BESIDE_PX), y + height + _BESIDE_PX),
            slice(max(0, x - _BESIDE_PX), x + width + _BESIDE_PX),
        )
        band = (labels[part] == index).astype(np.uint8)
        grown, near, far = (cv2.dilate(band, np.ones((2 * px + 1,) * 2, np.uint8)) > 0 for px in (1, 3, _BESIDE_PX))
        beside = far & ~near & tissue[part] & (labels[part] == 0) & (green[part] > _FAINT)
        if not beside.any():
            continue
        inside = band > 0
        hue = [
            np.median(plane[part][inside] / green[part][inside]) / np.median(plane[part][beside] / green[part][beside])
            for plane in (red, blue)
        ]
        usual, dense = np.percentile(green[part][beside], (50, _DENSE_SIDE))
        denser = np.median(green[part][inside]) >= max(contrast * usual, _THAN_DENSE * dense)
        if hue[0] >= _HUE[0] and hue[1] <= _HUE[1] and denser:
            found[part] |= grown
    return found & tissue


def _summed(plane: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    summed = cv2.boxFilter(plane, -1, (side, side), normalize=False, borderType=cv2.BORDER_REFLECT)
    return np.asarray(summed, np.float32)


def _bands(mask: NDArray[np.uint8], mpp: float, spec: ArtefactSpec) -> NDArray[np.uint8]:
    """Return the pieces of ``mask`` that are long for their width."""
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
    kept: NDArray[np.uint8] = keep[labels].astype(np.uint8)
    return kept
