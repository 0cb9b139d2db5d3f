"""Which pixels of a low-power picture are tissue. Colour and texture only; no learning."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.tiling.glass import Glass, black_padding, find_glass, roughness
from pathopipe.tiling.spec import TissueSpec

_FAINT = (0.045, 0.08)
"""Bounds of the stain above which a textured pixel is tissue; Otsu's method chooses between them."""
_STRONG = 0.13
"""Stain above which a pixel is tissue without texture."""
_COLOURED = 0.02
"""Difference of the channels' optical densities above which a pixel has a colour, not just a shade."""
_THIN_UM = 20.0
"""Pieces nowhere wider than twice this are fibres, scratches and coverslip edges."""


def stain(rgb: NDArray[np.uint8], glass: Glass) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the stain and the colour of every pixel, as optical densities relative to the glass.

    The colour (highest less lowest density of the channels) counts twice in the stain: dyes absorb some wavelengths
    more than others, shadows and dirt all alike.

    Returns
    -------
    stain : (h, w) float32
        Mean density plus twice the colour; about 0 on glass.
    colour : (h, w) float32
        0 for every shade of grey.
    """
    levels = np.maximum(np.arange(256, dtype=np.float32), 1)
    densities = [
        cv2.LUT(rgb[..., channel], np.maximum(np.log10(glass.colour[channel] / levels), 0).astype(np.float32))
        for channel in range(3)
    ]
    colour = np.maximum.reduce(densities) - np.minimum.reduce(densities)
    return sum(densities) / np.float32(3) + 2 * colour, colour


def tissue_mask(rgb: NDArray[np.uint8], mpp: float, spec: TissueSpec) -> NDArray[np.bool_]:
    """Return (h, w) what is tissue in the picture ``rgb`` (h, w, 3) of ``mpp`` µm per pixel."""
    padding = black_padding(rgb)
    rough = roughness(rgb)
    glass = find_glass(rgb, rough, padding)
    density, colour = stain(rgb, glass)
    faint = _threshold(density[~padding]) / spec.sensitivity
    textured = cv2.boxFilter(rough, -1, (5, 5)) >= max(1.0, 2.5 * glass.roughness) / spec.sensitivity
    mask = (density >= faint) & (textured | (density >= _STRONG / spec.sensitivity)) & ~padding
    return _pieces(_closed(mask, round(spec.closing_um / mpp)), colour, mpp, spec)


def _threshold(density: NDArray[np.float32]) -> float:
    """Return Otsu's threshold of the stain, halved for pale parts of the tissue, within bounds."""
    if not density.size:
        return _FAINT[1]
    levels = np.minimum(density * (255 / 0.6), 255).astype(np.uint8)
    otsu, _ = cv2.threshold(levels.reshape(-1, 1), 0, 255, cv2.THRESH_OTSU)
    return float(np.clip(otsu / 255 * 0.6 / 2, *_FAINT))


def _closed(mask: NDArray[np.bool_], radius: int) -> NDArray[np.uint8]:
    """Return the mask with gaps of up to twice ``radius`` pixels closed."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    return np.asarray(cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_CLOSE, disc), np.uint8)


def _pieces(mask: NDArray[np.uint8], colour: NDArray[np.float32], mpp: float, spec: TissueSpec) -> NDArray[np.bool_]:
    """Return the mask without small holes and without pieces that are small, thin or grey."""
    number, labels, stats, _ = cv2.connectedComponentsWithStats(1 - mask, connectivity=4)
    holes = stats[:, cv2.CC_STAT_AREA] * mpp**2 < spec.min_hole_um2
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    holes[rim] = False  # glass at the border may go on beyond it
    holes[0] = True
    mask = holes[labels].astype(np.uint8)

    number, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    depth = cv2.distanceTransform(cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_REPLICATE), cv2.DIST_L2, 3)[
        1:-1, 1:-1
    ]
    deepest = np.zeros(number, np.float32)
    np.maximum.at(deepest, labels.ravel(), np.asarray(depth, np.float32).ravel())
    coloured = np.bincount(labels.ravel(), (colour >= _COLOURED).ravel(), number)
    keep = stats[:, cv2.CC_STAT_AREA] * mpp**2 >= spec.min_area_um2
    keep &= deepest * mpp >= _THIN_UM
    keep &= coloured >= 0.25 * stats[:, cv2.CC_STAT_AREA]
    keep[0] = False
    kept: NDArray[np.bool_] = keep[labels]
    return kept
