"""What looks like tissue from afar and is none: ink, black dirt and folds. Colour and shape only; no learning.

Thresholds are ratios of optical densities, so they hold for pale and dark stains. What the dyes of histology have in
common makes ink stand out: haematoxylin, eosin and DAB all absorb green at least about as much as red, green ink does
not; eosin absorbs little blue, red ink much; and only dirt absorbs all colours strongly and alike.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.tiling.folds import folds
from pathopipe.tiling.spec import ArtefactSpec
from pathopipe.tiling.stained import Stained

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
    red, green, blue = (np.asarray(cv2.GaussianBlur(plane, (0, 0), 0.7), np.float32) for plane in stained.density)
    nothing = np.zeros(tissue.shape, bool)
    ink = _cool_ink(red, green, blue) | _red_ink(red, green, blue, mpp) if spec.pen else nothing
    dirt = _black(red, green, blue) if spec.black else nothing
    hue = _blue_over_green(green, blue, tissue & ~ink & ~dirt)
    if spec.black and hue is not None and hue < DAB_FROM:
        dirt = dirt | _specks(stained.density)
    ink, dirt = (_large(_grown(mask, spec.margin_um / mpp), mpp, spec) & tissue for mask in (ink, dirt))
    fold = folds(red, green, blue, tissue & ~ink & ~dirt, mpp, spec) if spec.folds else nothing
    return Artefacts({"pen": ink, "black": dirt & ~ink, "fold": fold}, hue)


def _cool_ink(red: Plane, green: Plane, blue: Plane) -> Mask:
    sure, around = ((red > ratio * green) & (red - green > more) for ratio, more in _COOL)
    ratio, strength, most = _BLUE_ON_TISSUE
    sure |= (red > ratio * green) & (red > strength) & (blue < most * red)
    return _connected(sure, around)


def _red_ink(red: Plane, green: Plane, blue: Plane, mpp: float) -> Mask:
    on_glass, on_tissue, likely, around = (
        (blue > least * green) & (blue < _RED_MOST_BLUE * green) & (red < most * green) & (green > strength)
        for least, most, strength in _RED
    )
    sure = on_glass | on_tissue
    if _at_least(sure, _RED_STROKE_UM2 / mpp**2).any():
        sure |= likely
    seeds = _at_least(sure, _RED_SPOT_UM2 / mpp**2)
    return _connected(seeds, around & _grown(seeds, _RED_REACH_UM / mpp))


def _black(red: Plane, green: Plane, blue: Plane) -> Mask:
    palest, densest = np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)
    sure, around = ((palest > least) & (palest > ratio * densest) for least, ratio in _BLACK)
    return _connected(sure, around)


def _specks(density: Iterable[Plane]) -> Mask:
    """Return what is darker than its surroundings in all colours alike: thin edges, clusters of grains."""
    red, green, blue = (_above_surroundings(plane) for plane in density)
    palest, densest = np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)
    del red, green, blue  # a large slide's picture has 16 megapixels
    sure, around = ((palest > 100 * least) & (palest > ratio * densest) for least, ratio in _SPECK)
    joined = cv2.morphologyEx(_connected(sure, around).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    return joined.astype(bool)


def _above_surroundings(plane: Plane) -> NDArray[np.int16]:
    """Return how much denser each pixel is than those around it, in hundredths."""
    scaled = np.asarray(np.clip(plane * 100, 0, 255), np.uint8)  # the median of floats is slow
    return np.asarray(scaled.astype(np.int16) - cv2.medianBlur(scaled, _AROUND_PX), np.int16)


def _blue_over_green(green: Plane, blue: Plane, tissue: Mask) -> float | None:
    shown = tissue & (green > _FAINT)
    return float(np.median(blue[shown] / green[shown])) if shown.any() else None


def _connected(sure: Mask, around: Mask) -> Mask:
    """Return the pieces of ``sure`` or ``around`` that have a sure pixel."""
    number, labels = cv2.connectedComponents((sure | around).astype(np.uint8), connectivity=8)
    keep = np.zeros(number, bool)
    keep[labels[sure]] = True
    found: Mask = keep[labels]
    return found


def _at_least(mask: Mask, px: float) -> Mask:
    """Return the pieces of ``mask`` that have at least ``px`` pixels."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    keep = stats[:, cv2.CC_STAT_AREA] >= px
    keep[0] = False
    kept: Mask = keep[labels]
    return kept


def _large(mask: Mask, mpp: float, spec: ArtefactSpec) -> Mask:
    return _at_least(mask, spec.min_area_um2 / mpp**2)


def _grown(mask: Mask, px: float) -> Mask:
    radius = round(px)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1,) * 2)
    return cv2.dilate(mask.astype(np.uint8), disc).astype(bool)
