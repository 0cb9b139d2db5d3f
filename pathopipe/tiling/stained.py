"""Which pixels of a low-power picture are tissue. Colour and texture only; no learning."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.tiling.glass import ROUGH_MARGIN, Glass, black_padding, find_glass, roughness
from pathopipe.tiling.pieces import Pieces
from pathopipe.tiling.ranks import percentile
from pathopipe.tiling.spec import TissueSpec
from pathopipe.tiling.strips import Strip, by_strips, strips

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
BLUR_MARGIN = 4
"""Rows around that :meth:`Stained.blurred` looks at, one more than the kernel's."""
_MARGIN = ROUGH_MARGIN + 2
"""Rows around a pixel that decide whether it is stained: two boxes of 5, or one of 9."""


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

    def density(self, rows: slice) -> Iterator[NDArray[np.float32]]:
        """Yield the optical density of red, green and blue relative to the glass in ``rows`` of the picture."""
        return densities(self.rgb[rows], self.glass)

    def blurred(self, rows: slice) -> Iterator[NDArray[np.float32]]:
        """Yield the same without the finest grain; the outermost :data:`BLUR_MARGIN` rows lack their neighbours."""
        for plane in self.density(rows):
            yield np.asarray(cv2.GaussianBlur(plane, (0, 0), 0.7), np.float32)

    @classmethod
    def of(cls, rgb: NDArray[np.uint8], spec: TissueSpec) -> Stained:
        """Find what is stained in ``rgb`` (h, w, 3)."""
        padding = black_padding(rgb)
        glass = find_glass(rgb, padding)
        faint = _faintest(rgb, glass) / spec.sensitivity
        textured_from = max(1.0, 2.5 * glass.roughness) / spec.sensitivity
        pixels, seed = np.empty(rgb.shape[:2], bool), np.empty(rgb.shape[:2], bool)
        for strip in strips(rgb.shape, _MARGIN):
            strength, colour = stain(densities(rgb[strip.read], glass))
            textured = cv2.boxFilter(roughness(rgb[strip.read]), -1, (5, 5)) >= textured_from
            strong = strength >= _STRONG / spec.sensitivity
            coloured = cv2.boxFilter(colour, -1, (9, 9)) >= _COLOURED * cv2.boxFilter(strength, -1, (9, 9))
            found = (strength >= faint) & (textured | strong) & coloured
            pixels[strip.rows] = found[strip.inner] & ~padding[strip.rows]
            seed[strip.rows] = strength[strip.inner] >= _SEED[0] / spec.sensitivity
        return cls(pixels, seed, rgb, glass)

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
        radius = round(spec.closing_um / mpp)
        if without is None:
            return _pieces(_closed(self.pixels, radius), self.seed, mpp, spec)
        closed = _closed(self.pixels & ~without, radius)
        closed &= ~without
        found = _pieces(closed, self.seed, mpp, spec)
        found &= ~without
        return found


def _faintest(rgb: NDArray[np.uint8], glass: Glass) -> float:
    """Return the stain above which a pixel is not glass, from the spread on what is as smooth as glass.

    It does not depend on the tissue: beside dark tissue pale tissue stays what it is.
    """

    def smooth() -> Iterator[NDArray[np.float32]]:
        for strip in strips(rgb.shape, ROUGH_MARGIN):
            strength, _ = stain(densities(rgb[strip.rows], glass))
            rough = roughness(rgb[strip.read])[strip.inner]
            yield strength[(rough <= 2 * glass.roughness + 0.5) & (strength < _FAINT[1])]

    usual = percentile(smooth, 95) if glass.seen else None
    return _FAINT[0] if usual is None else float(np.clip(1.5 * usual, *_FAINT))


def _closed(mask: NDArray[np.bool_], radius: int) -> NDArray[np.bool_]:
    """Return the mask with gaps of up to twice ``radius`` pixels closed."""
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    around = 2 * radius + 1

    def closed(strip: Strip) -> NDArray[np.bool_]:
        # Zeros around: else the gap between tissue and the picture's border is closed too.
        top, bottom = (around - rows for rows in (strip.above, strip.below))
        wide = cv2.copyMakeBorder(
            mask[strip.read].view(np.uint8), top, bottom, around, around, cv2.BORDER_CONSTANT, value=0
        )
        return cv2.morphologyEx(wide, cv2.MORPH_CLOSE, disc)[around:-around, around:-around] > 0

    return by_strips(mask.shape, closed, around)


def _pieces(mask: NDArray[np.bool_], seed: NDArray[np.bool_], mpp: float, spec: TissueSpec) -> NDArray[np.bool_]:
    """Return the mask without small holes and without pieces that are small, thin or faint all over."""
    gaps = Pieces(~mask, connectivity=4)
    # Glass at the border may go on beyond it.
    mask = mask | gaps.those((gaps.area * mpp**2 < spec.min_hole_um2) & ~gaps.at_rim)
    del gaps

    pieces = Pieces(mask)
    keep = pieces.count(_deep(mask, _THIN_UM / mpp)) > 0
    keep &= pieces.area * mpp**2 >= spec.min_area_um2
    keep &= pieces.count(seed) >= _SEED[1] * pieces.area
    return pieces.those(keep)


def _deep(mask: NDArray[np.bool_], px: float) -> NDArray[np.bool_]:
    """Return (h, w) what is at least ``px`` inside the mask, which goes on beyond the picture's border."""
    # A piece that is cut by the border is not thin; one that is all of the picture has no edge to be far from.
    return by_strips(
        mask.shape,
        lambda strip: cv2.distanceTransform(mask[strip.read].view(np.uint8), cv2.DIST_L2, 3)[strip.inner] >= px,
        math.ceil(1.1 * px) + 1,  # a row counts 0.955 px there
    )
