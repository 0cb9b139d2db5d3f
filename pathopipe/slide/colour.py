"""Transparent pixels become background white."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def on_white(rgba: NDArray[np.uint8], *, premultiplied: bool) -> NDArray[np.uint8]:
    """Return RGBA pixels (h, w, 4) as they look on white paper: RGB uint8 (h, w, 3).

    Parameters
    ----------
    rgba : (h, w, 4) uint8
        Colours and alpha.
    premultiplied : bool
        Whether the colours are multiplied with alpha already.
    """
    rgb = np.asarray(cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB), np.uint8)
    alpha = rgba[..., 3]
    if alpha.size and alpha.min() == 255:
        return rgb
    part = alpha[..., None].astype(np.uint16)
    paper = 255 - part
    if premultiplied:
        return np.asarray(np.minimum(rgb + paper, 255), np.uint8)
    return np.asarray((rgb * part + 255 * paper + 127) // 255, np.uint8)
