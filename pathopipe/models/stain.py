"""Optical density and haematoxylin: what is measured on a tile's pixels. No torch."""

from __future__ import annotations

from itertools import pairwise

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from pathopipe.geometry import Outlines
from pathopipe.instances import Instances

HEMATOXYLIN_OD_MEAN = "hematoxylin_od_mean"
"""Name of the measurement that :func:`measure` adds and results keep."""

OD_MEANS = ("red_od_mean", "green_od_mean", "blue_od_mean")
"""Names of further measurements that :func:`measure` adds: optical density against white, by colour."""
BLACK_PART = "black_part"
"""Name of the last that it adds: the part of the pixels that are black, 0 to 1."""
COLOURS = (*OD_MEANS, BLACK_PART)
"""Names of what tells nuclei from ink and dirt; results do not keep it."""

_BLACK_UP_TO = 40
"""Grey level up to which all colours of a black pixel are: an optical density of 0.8. Haematoxylin absorbs half as much
blue as red, so that blue reaches 0.5 to 0.7 in the darkest nuclei."""

_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Haematoxylin, eosin and DAB as absorption of red, green and blue: Ruifrok & Johnston 2001, "Quantification of
histochemical staining by color deconvolution", Anal Quant Cytol Histol 23."""
_UNMIX = np.linalg.inv(_STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True)).astype(np.float32)
_OD_OF = -np.log10(np.maximum(np.arange(256, dtype=np.float32), 1) / 255).astype(np.float32)
# One look-up a channel: the contribution of each of the 256 values to the haematoxylin density.
_HEMATOXYLIN_OF = [(_OD_OF * _UNMIX[channel, 0]).astype(np.float32) for channel in range(3)]
_SHIFT = 4
"""cv2 takes polygon corners in fixed point: 1/16 px."""
_PART = 512
"""Outlines that are drawn at once: few calls, and what is computed of them stays near the CPU."""
_STEP = 8
"""Windows have sides of a multiple of this, in pixels."""
_GAP = 4
"""Rows between windows: an outline may reach beyond the tile, by less than this."""


def haematoxylin_od(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the haematoxylin optical density (base 10) of every pixel, by colour deconvolution.

    Parameters
    ----------
    rgb : (h, w, 3) uint8

    Returns
    -------
    (h, w) float32
        0 on white glass, about 0.5 to 1.5 in nuclei; negative where a pixel is redder than the three stains explain.
        Haematoxylin, eosin and DAB vectors of Ruifrok & Johnston 2001.
    """
    red, green, blue = (np.asarray(cv2.LUT(rgb[..., c], _HEMATOXYLIN_OF[c]), np.float32) for c in range(3))
    return red + green + blue


def measure(rgb: NDArray[np.uint8], instances: Instances) -> Instances:
    """Return ``instances`` with the mean over the pixels inside the outline of what is absorbed there.

    The measurements are ``hematoxylin_od_mean`` and, for telling nuclei from ink and dirt, :data:`COLOURS`.

    Parameters
    ----------
    rgb : (h, w, 3) uint8
        The tile.
    instances : Instances
        Outlines in the tile's own pixels. Where an outline covers no pixel of the tile the values are NaN.
    """
    means = _means_inside(rgb, instances.outlines)
    # Deconvolution is linear, so the mean of the haematoxylin is the haematoxylin of the means.
    named = dict(zip(COLOURS, means.T, strict=True))
    return instances.with_measurements(**{HEMATOXYLIN_OD_MEAN: means[:, :3] @ _UNMIX[:, 0]}, **named)


def _means_inside(rgb: NDArray[np.uint8], outlines: Outlines) -> NDArray[np.float32]:
    """Return (n, 4) what :data:`COLOURS` names of ``rgb``, over the pixels that each outline covers."""
    size = np.array(rgb.shape[1::-1])
    means = np.full((len(outlines), len(COLOURS)), np.nan, np.float32)
    bounds = outlines.bounds()
    low = np.clip(np.floor(bounds[:, :2]), 0, size).astype(int)
    high = np.clip(np.ceil(bounds[:, 2:]), 0, size).astype(int)
    met = (high > low).all(axis=1)
    # Outlines of about one size go together; of those that reach far beyond the tile each is drawn alone, since it
    # would be drawn on another's window too.
    # One pixel more than the box, since where cv2 has to cut a line it may draw it elsewhere.
    side = -(-(high - low + 1).max(axis=1, initial=1) // _STEP) * _STEP
    far = met & (np.maximum(-bounds[:, 1], bounds[:, 3] - size[1]) >= _GAP)
    parts = [np.array([index]) for index in np.flatnonzero(far)]
    for each in np.unique(side[met]):
        alike = np.flatnonzero(met & ~far & (side == each))
        parts += np.split(alike, range(_PART, len(alike), _PART)) if len(alike) else []
    for part in parts:
        window = np.minimum(side[part[0]], size)
        means[part] = _part_means(rgb, outlines.take(part), low[part], high[part], window)
    return means


def _part_means(
    rgb: NDArray[np.uint8],
    outlines: Outlines,
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    window: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return (n, 4) the means inside n outlines, each drawn on a window of one canvas; NaN where nothing is covered.

    Parameters
    ----------
    rgb : (h, w, 3) uint8
    outlines : Outlines
        n of them, at least one.
    low, high : (n, 2) int64
        x, y of the box in the tile outside of which no pixel counts.
    window : (2,) int64
        Width and height of the windows: at least those of the boxes, at most the tile's.
    """
    count, (width, height) = len(low), window.tolist()
    corner = np.minimum(low, np.array(rgb.shape[1::-1]) - window)
    outside = _outside(outlines, low - corner, high - corner, corner, (height, width))
    pixels = sliding_window_view(rgb.reshape(len(rgb), -1), (height, 3 * width))[corner[:, 1], 3 * corner[:, 0]]
    # White absorbs nothing, so what is outside adds nothing.
    planes = [plane.reshape(count, -1) | outside for plane in cv2.split(pixels.reshape(-1, width, 3))]
    sums = [cv2.reduce(cv2.LUT(plane, _OD_OF), 1, cv2.REDUCE_SUM, dtype=cv2.CV_64F) for plane in planes]
    black = cv2.max(cv2.max(planes[0], planes[1]), planes[2]) <= _BLACK_UP_TO
    sums.append(_counted(black.view(np.uint8)))
    covered = width * height - _counted(outside & np.uint8(1))
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float64] = np.concatenate(sums, axis=1) / covered
    return means


def _counted(ones: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return (n, 1) how many of each row of ``ones`` (n, pixels of a window; 0 or 1) are 1."""
    return np.asarray(cv2.reduce(ones, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S), np.int32)


def _outside(
    outlines: Outlines,
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    corner: NDArray[np.int64],
    shape: tuple[int, int],
) -> NDArray[np.uint8]:
    """Return (n, pixels of a window) 255 outside of each outline and of its box, 0 where both are.

    ``low`` and ``high`` (n, 2) are the box's x, y in the window, ``corner`` (n, 2) is the window's in the tile.
    """
    height, width = shape
    top = np.arange(len(low)) * (height + _GAP)
    # cv2 has pixel centres at whole numbers, outlines at halves. One call draws all, one window below the other.
    shift = np.repeat(
        (corner - np.stack([np.zeros_like(top), top], axis=1)) << _SHIFT, np.diff(outlines.offsets), axis=0
    )
    fixed = (np.round((outlines.coords - 0.5) * (1 << _SHIFT)) - shift).astype(np.int32)
    canvas = np.full((len(low) * (height + _GAP), width), 255, np.uint8)
    cv2.fillPoly(canvas, [fixed[first:end] for first, end in pairwise(outlines.offsets.tolist())], 0, shift=_SHIFT)
    x, y = np.arange(width), np.arange(height)
    rows, cols = (y < low[:, 1:]) | (y >= high[:, 1:]), (x < low[:, :1]) | (x >= high[:, :1])
    outside = canvas.reshape(len(low), -1, width)[:, :height] | _white(rows)[:, :, np.newaxis]
    outside |= _white(cols)[:, np.newaxis]
    return np.asarray(outside.reshape(len(low), -1), np.uint8)


def _white(where: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Return 255 where it is True, else 0."""
    return where.view(np.uint8) * np.uint8(255)
