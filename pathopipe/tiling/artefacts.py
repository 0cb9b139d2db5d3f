"""What looks like tissue from afar and is none: ink, black dirt and folds. Colour and shape only; no learning.

Thresholds are ratios of optical densities, so they hold for pale and dark stains. What the dyes of histology have in
common makes ink stand out: haematoxylin, eosin and DAB all absorb green at least about as much as red, green ink does
not; eosin absorbs little blue, red ink much; and only dirt absorbs all colours strongly and alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntFlag

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.tiling.folds import folds
from pathopipe.tiling.pieces import at_least, connected
from pathopipe.tiling.ranks import median
from pathopipe.tiling.spec import ArtefactSpec
from pathopipe.tiling.stained import BLUR_MARGIN, Stained
from pathopipe.tiling.strips import Strip, strips

Plane = NDArray[np.float32]
Mask = NDArray[np.bool_]

KINDS = ("pen", "black", "fold")
"""Kinds of artefact that are masked, and how they are called in results; a pixel is of the first that fits."""

_COOL = (1.35, 0.12), (1.1, 0.04)
"""Green and blue ink, sure and around it: red over green density, and how much it is more. Measured: at most 0.8 in
H&E and 1.2 in blue-ish haematoxylin alone, 2 to 3.5 in green ink, 1.1 to 2 in green ink on tissue."""
_BLUE_ON_TISSUE = 0.95, 0.8, 0.5
"""Blue ink on dense tissue: red over green density and red density at least, blue over red density at most. Tissue
stained by haematoxylin alone reaches 0.5 of red."""
_RED = (0.7, 0.25, 0.45), (0.57, 0.34, 0.8), (0.64, 0.33, 0.2), (0.62, 0.35, 0.15)
"""Red ink for sure, on glass or on tissue; red ink where there is a stroke of it elsewhere on the slide; and what may
be its border: blue over green density at least, red over green at most, and green density at least. Blood is of nearly
the same colour, so the size of what is sure decides."""
_RED_MOST_BLUE = 1.05
"""Blue over green density above which it is DAB, not red ink."""
_RED_SPOT_UM2 = 3_000.0
"""Smaller spots are blood in a vessel; measured: up to 1,000 µm² in clean tissue."""
_RED_STROKE_UM2 = 60_000.0
"""A spot as large as this is a stroke of a pen for sure, and smaller and paler ones beside it are from the same pen."""
_RED_REACH_UM = 80.0
"""How far red ink thins out; farther away it is eosin."""
_BLACK = (0.6, 0.68), (0.4, 0.6)
"""Black, sure and around it: density of the palest channel, and that over the densest one's. Nuclei that DAB and
haematoxylin blacken reach 0.5 on average over a low-power pixel."""
_SPECK = (0.25, 0.8), (0.12, 0.7)
"""The same for what a pixel has more than its surroundings, where there is no DAB: crowded nuclei have 0.5 at most."""
_AROUND_PX = 15
DAB_FROM = 0.75
"""Blue over green density, median of the tissue, from which there may be DAB. Measured: up to 0.65 in H&E, from 0.89
with DAB."""
_FAINT = 0.05
"""Optical density below which a pixel's hue is noise."""


@dataclass(frozen=True)
class Artefacts:
    """What was found in one low-power picture."""

    masks: dict[str, Mask]
    """Kind to (h, w); no two overlap."""
    blue_over_green: float | None
    """Median ratio of the optical densities in the rest of the tissue; None where there is none."""

    @property
    def all(self) -> Mask:
        """(h, w) the masks together."""
        return np.asarray(np.logical_or.reduce(list(self.masks.values())), bool)


def find_artefacts(stained: Stained, tissue: Mask, mpp: float, spec: ArtefactSpec) -> Artefacts:
    """Find ink, dirt and folds in what looks like tissue.

    Parameters
    ----------
    stained : Stained
        The picture, with its glass.
    tissue : (h, w) bool
        What looks like tissue, artefacts included.
    mpp : float
        µm per pixel.
    spec : ArtefactSpec
        What is looked for.
    """
    marks, nothing = _marks(stained), np.zeros(tissue.shape, bool)
    ink = _ink(marks, mpp) if spec.pen else nothing
    dirt = connected(*_both(marks, _Mark.BLACK, _Mark.BLACK_AROUND)) if spec.black else nothing
    del marks
    hue = _blue_over_green(stained, tissue & ~(ink | dirt))
    if spec.black and hue is not None and hue < DAB_FROM:
        dirt = dirt | _specks(stained)
    ink, dirt = (_large(_grown(mask, spec.margin_um / mpp), mpp, spec) & tissue for mask in (ink, dirt))
    fold = folds(stained, tissue & ~(ink | dirt), mpp, spec) if spec.folds else nothing
    dirt &= ~ink
    return Artefacts({"pen": ink, "black": dirt, "fold": fold}, hue)


class _Mark(IntFlag):
    """What a pixel's colour says of it; a byte for all."""

    COOL = 1
    COOL_AROUND = 2
    RED = 4
    RED_LIKELY = 8
    RED_AROUND = 16
    BLACK = 32
    BLACK_AROUND = 64


def _marks(stained: Stained) -> NDArray[np.uint8]:
    """Return (h, w) what may be ink or dirt, as :class:`_Mark`."""
    marks = np.empty(stained.pixels.shape, np.uint8)
    for strip in strips(marks.shape, BLUR_MARGIN):
        red, green, blue = (plane[strip.inner] for plane in stained.blurred(strip.read))
        here = marks[strip.rows]
        here[:] = 0
        for mark, found in (*_cool(red, green, blue), *_red(red, green, blue), *_black(red, green, blue)):
            here |= found.view(np.uint8) * np.uint8(mark)
    return marks


Found = Iterator[tuple[_Mark, Mask]]


def _cool(red: Plane, green: Plane, blue: Plane) -> Found:
    for mark, (ratio, more) in zip((_Mark.COOL, _Mark.COOL_AROUND), _COOL, strict=True):
        yield mark, (red > ratio * green) & (red - green > more)
    ratio, strength, most = _BLUE_ON_TISSUE
    yield _Mark.COOL, (red > ratio * green) & (red > strength) & (blue < most * red)


def _red(red: Plane, green: Plane, blue: Plane) -> Found:
    marks = (_Mark.RED, _Mark.RED, _Mark.RED_LIKELY, _Mark.RED_AROUND)
    for mark, (least, most, strength) in zip(marks, _RED, strict=True):
        yield (
            mark,
            (blue > least * green) & (blue < _RED_MOST_BLUE * green) & (red < most * green) & (green > strength),
        )


def _black(red: Plane, green: Plane, blue: Plane) -> Found:
    palest, densest = np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)
    for mark, (least, ratio) in zip((_Mark.BLACK, _Mark.BLACK_AROUND), _BLACK, strict=True):
        yield mark, (palest > least) & (palest > ratio * densest)


def _both(marks: NDArray[np.uint8], sure: _Mark, around: _Mark) -> tuple[Mask, Mask]:
    return (marks & np.uint8(sure)) > 0, (marks & np.uint8(around)) > 0


def _ink(marks: NDArray[np.uint8], mpp: float) -> Mask:
    return connected(*_both(marks, _Mark.COOL, _Mark.COOL_AROUND)) | _red_ink(marks, mpp)


def _red_ink(marks: NDArray[np.uint8], mpp: float) -> Mask:
    sure, around = _both(marks, _Mark.RED, _Mark.RED_AROUND)
    if at_least(sure, _RED_STROKE_UM2 / mpp**2).any():
        sure |= (marks & np.uint8(_Mark.RED_LIKELY)) > 0
    seeds = at_least(sure, _RED_SPOT_UM2 / mpp**2)
    return connected(seeds, around & _grown(seeds, _RED_REACH_UM / mpp)) if seeds.any() else seeds


def _specks(stained: Stained) -> Mask:
    """Return what is darker than its surroundings in all colours alike: thin edges, clusters of grains."""
    sure, around = np.empty(stained.pixels.shape, bool), np.empty(stained.pixels.shape, bool)
    for strip in strips(sure.shape, _AROUND_PX // 2):
        red, green, blue = _above_surroundings(stained, strip)
        palest, densest = np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)
        for mask, (least, ratio) in zip((sure, around), _SPECK, strict=True):
            mask[strip.rows] = (palest > 100 * least) & (palest > ratio * densest)
    found = connected(sure, around)
    return cv2.morphologyEx(found.view(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8)).view(bool)


def _above_surroundings(stained: Stained, strip: Strip) -> NDArray[np.int16]:
    """Return (3, rows, w) how much denser each pixel of ``strip`` is than those around it, in hundredths."""
    reach = _AROUND_PX // 2
    above, below = reach - strip.above, reach - strip.below
    # The median of floats is slow, and so is that of less than a megapixel: all colours go one above the other.
    scaled = np.concatenate(
        [
            cv2.copyMakeBorder(np.clip(plane * 100, 0, 255).astype(np.uint8), above, below, 0, 0, cv2.BORDER_REPLICATE)
            for plane in stained.density(strip.read)
        ]
    )
    more = scaled.astype(np.int16) - cv2.medianBlur(scaled, _AROUND_PX)
    return np.asarray(more.reshape(3, -1, more.shape[1])[:, reach:-reach], np.int16)


def _blue_over_green(stained: Stained, tissue: Mask) -> float | None:
    def ratios() -> Iterator[Plane]:
        for strip in strips(tissue.shape, BLUR_MARGIN):
            if tissue[strip.rows].any():
                _, green, blue = (plane[strip.inner] for plane in stained.blurred(strip.read))
                shown = tissue[strip.rows] & (green > _FAINT)
                yield blue[shown] / green[shown]

    return median(ratios)


def _large(mask: Mask, mpp: float, spec: ArtefactSpec) -> Mask:
    return at_least(mask, spec.min_area_um2 / mpp**2)


def _grown(mask: Mask, px: float) -> Mask:
    if not mask.any():
        return mask
    radius = round(px)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    return cv2.dilate(mask.view(np.uint8), disc).view(bool)
