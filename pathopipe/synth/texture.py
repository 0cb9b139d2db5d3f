"""Fine texture, made once per seed: periodic noise that every block looks things up in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from pathopipe.synth.lattice import Floats
from pathopipe.synth.spec import BLOCK_PX

PAD_PX = 8
"""Context of a block in level-0 pixels, for the blur; a whole number of map pixels."""
FIBRE_U_UM, FIBRE_V_UM = 0.5, 3.0
"""µm across and along the fibres per pixel of ``Textures.fibres``."""


@dataclass(frozen=True)
class Textures:
    """Noise of one slide."""

    fibres: Floats
    """(512, 1024) strength of collagen over (along, across), mean about 0.7; periodic both ways."""
    grain: Floats
    """(BLOCK_PX + 2 PAD_PX,) squared, standard deviation 1: fine grain, of period BLOCK_PX."""
    clumps: Floats
    """The same, coarser."""


@lru_cache(maxsize=2)
def textures_of(seed: int) -> Textures:
    """Return the textures that ``seed`` draws."""
    random = np.random.Generator(np.random.Philox(key=[seed, 4]))
    square = (BLOCK_PX, BLOCK_PX)
    grain, clumps = (np.pad(_periodic(random, square, s, s), PAD_PX, mode="wrap") for s in (0.9, 2.6))
    return Textures(_fibres(random), grain.astype(np.float32), clumps.astype(np.float32))


def _fibres(random: np.random.Generator) -> Floats:
    """Return bundles of strands of threads, with clefts between some of them."""
    shape = (512, 1024)
    bundle = _periodic(random, shape, 13, 9)
    strand = _periodic(random, shape, 8, 3.2)
    thread = _periodic(random, shape, 5, 1.3)
    solid = np.clip(0.66 + 0.20 * bundle + 0.20 * strand + 0.13 * thread, 0.15, 1.5)
    # Clefts lie where one noise changes its sign, in the half of the plane that another one opens.
    seam, opened = _periodic(random, shape, 10, 6), _periodic(random, shape, 12, 14)
    cleft = np.exp(-((seam / 0.16) ** 2)) * np.clip(0.5 + opened, 0, 1)
    wide = np.clip((-bundle - 0.6 * strand - 1.5) / 0.7, 0, 1)
    return (solid * (1 - 0.92 * cleft) * (1 - 0.9 * wide)).astype(np.float32)


def _periodic(
    random: np.random.Generator, shape: tuple[int, int], sigma_y: float, sigma_x: float
) -> NDArray[np.float64]:
    """Return Gaussian noise of period ``shape``, smoothed, with mean 0 and standard deviation 1."""
    noise = gaussian_filter(random.standard_normal(shape, np.float32), (sigma_y, sigma_x), mode="wrap", truncate=3.5)
    noise -= noise.mean()
    return np.asarray(noise / noise.std())
