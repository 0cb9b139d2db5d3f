"""Where the tissue lies double: narrow bands that have more of *both* stains than the tissue around them.

Crowded nuclei add haematoxylin alone, keratin and blood add eosin alone; a second layer of the same tissue adds both.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.tiling.pieces import Pieces
from pathopipe.tiling.ranks import percentile
from pathopipe.tiling.spec import ArtefactSpec
from pathopipe.tiling.stained import BLUR_MARGIN, Stained
from pathopipe.tiling.strips import Strip, by_strips, strips

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

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


def folds(stained: Stained, tissue: Mask, mpp: float, spec: ArtefactSpec) -> Mask:
    """Return (h, w) where the tissue is folded.

    Parameters
    ----------
    stained : Stained
        The picture, with its glass.
    tissue : (h, w) bool
        Tissue without other artefacts.
    mpp : float
        µm per pixel.
    spec : ArtefactSpec
        Contrast and least area.
    """
    dense = _dense(stained, tissue)
    if not dense.any():
        return dense
    _stand_out(stained, tissue, dense, round(_AROUND_UM / mpp) | 1, spec.fold_contrast)
    joined = cv2.morphologyEx(dense.view(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)).view(bool)
    return _of_the_same_tissue(_bands(joined, mpp, spec), stained, tissue, spec.fold_contrast)


def _dense(stained: Stained, tissue: Mask) -> Mask:
    """Return (h, w) the tissue that is as dense as a fold."""

    def density(strip: Strip) -> Plane:
        red, green, blue = (plane[strip.inner] for plane in stained.blurred(strip.read))
        return (red + green + blue) / np.float32(3)

    def of_tissue() -> Iterator[Plane]:
        for strip in strips(tissue.shape, BLUR_MARGIN):
            if tissue[strip.rows].any():
                yield density(strip)[tissue[strip.rows]]

    usual = percentile(of_tissue, 90)
    if usual is None:
        return np.zeros(tissue.shape, bool)
    least = max(_LEAST, _DENSEST * usual)
    return by_strips(tissue.shape, lambda strip: (density(strip) > least) & tissue[strip.rows], BLUR_MARGIN)


def _stand_out(stained: Stained, tissue: Mask, dense: Mask, side: int, contrast: float) -> None:
    """Leave in ``dense`` what has more of both stains than the square of ``side`` pixels around it."""
    for strip in strips(dense.shape, side // 2 + BLUR_MARGIN):
        if not dense[strip.rows].any():
            continue
        inside = tissue[strip.read].astype(np.float32)
        area = np.maximum(_summed(inside, side), 1)
        red, green, _ = stained.blurred(strip.read)
        # Red is absorbed by haematoxylin; green by both, so what it has more is eosin.
        for stain in (green - red, red):
            around = _summed(stain * inside, side)
            around /= area
            np.maximum(around, 0.03, out=around)
            around *= contrast
            dense[strip.rows] &= (stain > around)[strip.inner]


def _of_the_same_tissue(bands: Mask, stained: Stained, tissue: Mask, contrast: float) -> Mask:
    """Return those of ``bands`` that are denser than the tissue beside them and of its hue, grown by a pixel."""
    pieces = Pieces(bands)
    found = np.zeros(tissue.shape, bool)
    for index in range(1, pieces.number + 1):
        part = pieces.around(index, _BESIDE_PX)
        band = pieces.one(index, part).view(np.uint8)
        grown, near, far = (cv2.dilate(band, np.ones((2 * px + 1,) * 2, np.uint8)) > 0 for px in (1, 3, _BESIDE_PX))
        red, green, blue = _cut(stained, part)
        beside = far & ~near & tissue[part] & ~bands[part] & (green > _FAINT)
        if not beside.any():
            continue
        inside = band > 0
        hue = [
            np.median(plane[inside] / green[inside]) / np.median(plane[beside] / green[beside]) for plane in (red, blue)
        ]
        usual, dense = np.percentile(green[beside], (50, _DENSE_SIDE))
        denser = np.median(green[inside]) >= max(contrast * usual, _THAN_DENSE * dense)
        if hue[0] >= _HUE[0] and hue[1] <= _HUE[1] and denser:
            found[part] |= grown
    return found & tissue


def _cut(stained: Stained, part: tuple[slice, slice]) -> Iterator[Plane]:
    """Yield the optical density of every colour in ``part`` (rows, columns) of the picture."""
    rows, columns = part
    top = min(rows.start, BLUR_MARGIN)
    for plane in stained.blurred(slice(rows.start - top, rows.stop + BLUR_MARGIN)):
        yield plane[top : top + rows.stop - rows.start, columns]


def _summed(plane: Plane, side: int) -> Plane:
    summed = cv2.boxFilter(plane, -1, (side, side), normalize=False, borderType=cv2.BORDER_REFLECT)
    return np.asarray(summed, np.float32)


def _bands(mask: Mask, mpp: float, spec: ArtefactSpec) -> Mask:
    """Return the pieces of ``mask`` that are long for their width."""
    pieces, widest = Pieces(mask), _WIDEST_UM / mpp
    width = np.zeros(pieces.number + 1, np.float32)
    # Wider bands than the widest are no folds, however wide: rows farther away do not matter.
    margin = math.ceil(1.1 * widest / 2) + 2
    for strip, (_, labels) in zip(strips(mask.shape, margin), pieces.labels, strict=True):
        edges = int(strip.above < margin), int(strip.below < margin)
        framed = cv2.copyMakeBorder(mask[strip.read].view(np.uint8), *edges, 1, 1, cv2.BORDER_CONSTANT, value=0)
        depth = cv2.distanceTransform(framed, cv2.DIST_L2, 3)[edges[0] :, 1:-1][strip.inner]
        on = mask[strip.rows]
        np.maximum.at(width, labels[on], 2 * depth[on])
    # A band's length is its area over its width, however it winds; its greatest width makes a cautious estimate.
    keep = (pieces.area >= spec.min_area_um2 / mpp**2) & (width <= widest)
    keep &= pieces.area >= _SLENDER * np.maximum(width, 1) ** 2
    return pieces.those(keep)
