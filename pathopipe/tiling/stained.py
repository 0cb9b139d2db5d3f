"""Which pixels of a low-power picture are tissue. Colour and texture only; no learning."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.tiling.glass import Glass, black_padding, find_glass, roughness
from pathopipe.tiling.spec import TissueSpec

_FAINT = (0.03, 0.08)
"""Bounds of the stain above which a textured pixel is tissue; how evenly lit and clean the glass is chooses."""
_STRONG = 0.13
"""Stain above which a pixel is tissue without texture."""
_SEED = (0.06, 0.1)
"""A stain, and the part of a piece that has it at least; fainter pieces are dried fluid and mountant."""
_COLOURED = 0.1
"""Colour as a part of the stain, around a pixel, below which it is a shadow, dust, a hair or a coverslip's edge."""
_THIN_UM = 20.0
"""Pieces nowhere wider than twice this are fibres, scratches and coverslip edges."""


def densities(rgb: NDArray[np.uint8], glass: Glass) -> Iterator[NDArray[np.float32]]:
    """Yield the optical density of red, green and blue, each (h, w) float32: 0 on glass and on what is brighter."""
    levels = np.maximum(np.arange(256, dtype=np.float32), 1)
    for channel in range(3):
        of_level = np.maximum(np.log10(glass.colour[channel] / levels), 0).astype(np.float32)
        yield np.asarray(cv2.LUT(rgb[..., channel], of_level), np.float32)


def stain(density: Iterable[NDArray[np.float32]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the stain and the colour of every pixel from its :func:`densities`.

    The colour (highest less lowest density of the channels) counts twice in the stain: dyes absorb some wavelengths
    more than others, shadows and dirt all alike.

    Returns
    -------
    stain : (h, w) float32
        Mean density plus twice the colour; about 0 on glass.
    colour : (h, w) float32
        0 for every shade of grey.
    """
    # One plane at a time and in place: the picture of a large slide has 16 megapixels.
    planes = iter(density)
    total = next(planes).copy()
    highest, lowest = total.copy(), total.copy()
    for plane in planes:
        total += plane
        np.maximum(highest, plane, out=highest)
        np.minimum(lowest, plane, out=lowest)
    highest -= lowest
    total /= np.float32(3)
    np.multiply(highest, np.float32(2), out=lowest)
    total += lowest
    return total, highest


@dataclass(frozen=True)
class Stained:
    """What is stained in a low-power picture, before pieces are made of it."""

    pixels: NDArray[np.bool_]
    """(h, w) what has the stain of tissue."""
    seed: NDArray[np.bool_]
    """(h, w) what has more of it."""
    rgb: NDArray[np.uint8]
    """(h, w, 3) the picture."""
    glass: Glass

    @property
    def density(self) -> Iterator[NDArray[np.float32]]:
        """Optical density of red, green and blue relative to the glass; made anew, as three planes take much room."""
        return densities(self.rgb, self.glass)

    @classmethod
    def of(cls, rgb: NDArray[np.uint8], spec: TissueSpec) -> Stained:
        """Find what is stained in ``rgb`` (h, w, 3)."""
        padding = black_padding(rgb)
        rough = roughness(rgb)
        glass = find_glass(rgb, rough, padding)
        strength, colour = stain(densities(rgb, glass))
        faint = _faintest(strength, rough, glass) / spec.sensitivity
        textured = cv2.boxFilter(rough, -1, (5, 5)) >= max(1.0, 2.5 * glass.roughness) / spec.sensitivity
        strong = strength >= _STRONG / spec.sensitivity
        coloured = cv2.boxFilter(colour, -1, (9, 9)) >= _COLOURED * cv2.boxFilter(strength, -1, (9, 9))
        mask = (strength >= faint) & (textured | strong) & coloured & ~padding
        return cls(mask, strength >= _SEED[0] / spec.sensitivity, rgb, glass)

    def pieces(self, mpp: float, spec: TissueSpec, without: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
        """Return (h, w) what is tissue: stained pieces, closed and large enough.

        Parameters
        ----------
        mpp : float
            µm per pixel of the picture.
        spec : TissueSpec
            Sizes.
        without : (h, w) bool, optional
            What is no tissue whatever its stain; what it leaves of a piece must still be large enough.
        """
        if without is None:
            return _pieces(_closed(self.pixels, round(spec.closing_um / mpp)), self.seed, mpp, spec)
        closed = _closed(self.pixels & ~without, round(spec.closing_um / mpp))
        return _pieces(closed & ~without, self.seed, mpp, spec) & ~without


def _faintest(density: NDArray[np.float32], rough: NDArray[np.float32], glass: Glass) -> float:
    """Return the stain above which a pixel is not glass, from the spread on what is as smooth as glass.

    It does not depend on the tissue: beside dark tissue pale tissue stays what it is.
    """
    smooth = density[(rough <= 2 * glass.roughness + 0.5) & (density < _FAINT[1])]
    if not glass.seen or not smooth.size:
        return _FAINT[0]
    return float(np.clip(1.5 * np.percentile(smooth, 95), *_FAINT))


def _closed(mask: NDArray[np.bool_], radius: int) -> NDArray[np.uint8]:
    """Return the mask with gaps of up to twice ``radius`` pixels closed."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    # Zeros around: else the gap between tissue and the picture's border is closed too.
    wide = cv2.copyMakeBorder(mask.astype(np.uint8), *(2 * radius + 1,) * 4, cv2.BORDER_CONSTANT)
    inner = slice(2 * radius + 1, -2 * radius - 1)
    return np.asarray(cv2.morphologyEx(wide, cv2.MORPH_CLOSE, disc)[inner, inner], np.uint8)


def _pieces(mask: NDArray[np.uint8], seed: NDArray[np.bool_], mpp: float, spec: TissueSpec) -> NDArray[np.bool_]:
    """Return the mask without small holes and without pieces that are small, thin or faint all over."""
    number, labels, stats, _ = cv2.connectedComponentsWithStats(1 - mask, connectivity=4)
    holes = stats[:, cv2.CC_STAT_AREA] * mpp**2 < spec.min_hole_um2
    rim = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    holes[rim] = False  # glass at the border may go on beyond it
    holes[0] = True
    mask = holes[labels].astype(np.uint8)

    number, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    # A piece that is cut by the border is not thin; one that is all of the picture has no edge to be far from.
    around = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_REPLICATE)
    depth = cv2.distanceTransform(around, cv2.DIST_L2, 3)[1:-1, 1:-1]
    seeds = np.bincount(labels[seed], minlength=number)
    keep = np.zeros(number, bool)
    keep[labels[depth >= _THIN_UM / mpp]] = True
    keep &= stats[:, cv2.CC_STAT_AREA] * mpp**2 >= spec.min_area_um2
    keep &= seeds >= _SEED[1] * stats[:, cv2.CC_STAT_AREA]
    keep[0] = False
    kept: NDArray[np.bool_] = keep[labels]
    return kept
