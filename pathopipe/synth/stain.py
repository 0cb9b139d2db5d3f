"""How tissue looks: dyes that absorb light (Beer–Lambert), optics that blur it, a sensor that adds noise."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.synth.lattice import Floats
from pathopipe.synth.spec import BLOCK_PX, SynthSpec

HAEMATOXYLIN = (0.62, 0.70, 0.35)
EOSIN = (0.16, 0.86, 0.48)
"""Optical density in red, green and blue of one unit of dye; after Macenko et al. (2009), a little less orange."""
BLUR_UM = 0.20
"""Standard deviation of the optics' blur."""


@dataclass(frozen=True)
class Stain:
    """The dyes, light and sensor of one laboratory."""

    dyes: Floats
    """(3, 2) optical density in red, green and blue of haematoxylin and eosin."""
    glass: NDArray[np.uint8]
    """(3,) colour of empty glass."""
    noise: Floats
    """(BLOCK_PX, BLOCK_PX) the sensor's noise in grey levels, the same in every block."""


@lru_cache(maxsize=2)
def stain_of(spec: SynthSpec) -> Stain:
    """Return the laboratory of ``spec``."""
    random = np.random.Generator(np.random.Philox(key=[spec.seed, 3]))
    columns = []
    for dye in (HAEMATOXYLIN, EOSIN):
        moved = np.array(dye) * (1 + spec.stain_variation * random.normal(0, [0.14, 0.05, 0.16]))
        strength = 1 + spec.stain_variation * random.uniform(-0.3, 0.3)
        columns.append(np.clip(moved, 0.04, 1) / np.linalg.norm(moved) * strength)
    glass = np.array([243, 242, 244]) + random.integers(-2, 3, 3)
    noise = random.normal(0, 1.6, (BLOCK_PX, BLOCK_PX))
    return Stain(np.stack(columns, axis=1).astype(np.float32), glass.astype(np.uint8), noise.astype(np.float32))


def photograph(
    haematoxylin: Floats, eosin: Floats, cover: Floats, stain: Stain, mpp: float, margin: int
) -> NDArray[np.uint8]:
    """Return what the scanner sees, without the margin.

    Parameters
    ----------
    haematoxylin, eosin : (h, w) float32
        Amounts of dye.
    cover : (h, w) float32
        1 in the tissue, 0 on glass; glass without tissue has exactly the glass's colour.
    stain : Stain
        The laboratory.
    mpp : float
        µm per pixel, for the blur.
    margin : int
        Pixels on every side that only feed the blur; at least 4.
    """
    sigma = BLUR_UM / mpp
    inner = slice(margin, -margin)
    height, width = cover[inner, inner].shape
    noise = stain.noise[:height, :width] * cover[inner, inner]
    planes = []
    for dyes, glass in zip(stain.dyes.tolist(), stain.glass.tolist(), strict=True):
        # The light through glass is exp(log(glass)): one pass for the absorption, one for the exponential.
        light = cv2.exp(cv2.addWeighted(haematoxylin, -dyes[0], eosin, -dyes[1], math.log(glass)))
        if sigma > 0.3:
            light = cv2.GaussianBlur(light, (7, 7), sigma)
        planes.append(cv2.add(np.ascontiguousarray(light[inner, inner]), noise, dtype=cv2.CV_8U))
    return np.asarray(cv2.merge(planes), np.uint8)
