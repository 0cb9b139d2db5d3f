"""Optical density and haematoxylin: what is measured on a tile's pixels. No torch."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.geometry import Outlines
from pathopipe.instances import Instances

HEMATOXYLIN_OD_MEAN = "hematoxylin_od_mean"
"""Name of the measurement that :func:`measure` adds and results keep."""

OD_MEANS = ("red_od_mean", "green_od_mean", "blue_od_mean")
"""Names of the other measurements that :func:`measure` adds: optical density against white, by colour."""

_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Haematoxylin, eosin and DAB as absorption of red, green and blue: Ruifrok & Johnston 2001, "Quantification of
histochemical staining by color deconvolution", Anal Quant Cytol Histol 23."""
_UNMIX = np.linalg.inv(_STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True)).astype(np.float32)
_OD_OF = -np.log10(np.maximum(np.arange(256, dtype=np.float32), 1) / 255).astype(np.float32)
# One look-up a channel: the contribution of each of the 256 values to the haematoxylin density.
_HEMATOXYLIN_OF = [(_OD_OF * _UNMIX[channel, 0]).astype(np.float32) for channel in range(3)]
_SHIFT = 4
"""cv2 takes polygon corners in fixed point: 1/16 px."""


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

    The measurements are ``hematoxylin_od_mean`` and, for telling nuclei from ink and dirt, :data:`OD_MEANS`.

    Parameters
    ----------
    rgb : (h, w, 3) uint8
        The tile.
    instances : Instances
        Outlines in the tile's own pixels. Where an outline covers no pixel of the tile the values are NaN.
    """
    means = _means_inside(np.asarray(cv2.LUT(rgb, _OD_OF), np.float32), instances.outlines)
    # Deconvolution is linear, so the mean of the haematoxylin is the haematoxylin of the means.
    named = dict(zip(OD_MEANS, means.T, strict=True))
    return instances.with_measurements(**{HEMATOXYLIN_OD_MEAN: means @ _UNMIX[:, 0]}, **named)


def _means_inside(values: NDArray[np.float32], outlines: Outlines) -> NDArray[np.float32]:
    """Return (n, 3) the means of ``values`` (h, w, 3) over the pixels whose centres lie inside each outline."""
    height, width = values.shape[:2]
    means = np.full((len(outlines), 3), np.nan, np.float32)
    bounds = outlines.bounds()
    low = np.clip(np.floor(bounds[:, :2]), 0, (width, height)).astype(int)
    high = np.clip(np.ceil(bounds[:, 2:]), 0, (width, height)).astype(int)
    # cv2 has pixel centres at whole numbers, outlines at halves; each ring is drawn on a mask of its own bounds.
    corner = np.repeat(low << _SHIFT, np.diff(outlines.offsets), axis=0)
    fixed = (np.round((outlines.coords - 0.5) * (1 << _SHIFT)) - corner).astype(np.int32)
    met = np.flatnonzero((high > low).all(axis=1))
    rings = zip(met.tolist(), outlines.offsets[met].tolist(), outlines.offsets[met + 1].tolist(), strict=True)
    for (index, first, end), (x0, y0), (x1, y1) in zip(rings, low[met].tolist(), high[met].tolist(), strict=True):
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        cv2.fillPoly(mask, [fixed[first:end]], 1, shift=_SHIFT)
        mean = cv2.mean(values[y0:y1, x0:x1], mask)
        if any(mean) or cv2.countNonZero(mask):  # without a pixel the mean is 0 too
            means[index] = mean[:3]
    return means
