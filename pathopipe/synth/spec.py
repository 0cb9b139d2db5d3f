"""What is drawn: the settings of a drawn slide, and what comes back."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from pathopipe.geometry import Outlines
from pathopipe.spec import Spec

TILE_PX = 256
"""Side of a TIFF tile."""
BLOCK_PX = 1024
"""Side of the square that is drawn at once; a whole number of tiles, and of pixels on every level."""


class SynthSpec(Spec):
    """A drawn slide. Two equal specs give the same pixels, the same truth and the same bytes."""

    width: int = Field(ge=128, le=1_000_000)
    """Width of level 0 in pixels."""
    height: int = Field(ge=128, le=1_000_000)
    """Height of level 0 in pixels."""
    mpp: float = Field(0.25, ge=0.1, le=1.0)
    """µm per level-0 pixel."""
    seed: int = Field(0, ge=0)
    """Everything random follows from it."""
    objective: float = Field(40.0, gt=0)
    """Magnification that the file names."""
    levels: tuple[int, ...] = (1, 4, 16)
    """Downsamples of the levels, finest first: 1, then rising powers of two up to 256."""
    jpeg_quality: int = Field(85, ge=10, le=100)
    """Quality of the JPEG tiles; the chroma is subsampled 4:2:0."""
    tissue_fraction: float = Field(0.5, gt=0, le=1)
    """Part of the slide that the pieces of tissue cover, lumens and tears in them included."""
    nuclei_density: float = Field(1.0, ge=0, le=1.5)
    """Nuclei relative to the usual, 1.0 (about 3,600 a mm² of tissue; 7,000 in solid epithelium)."""
    stain_variation: float = Field(0.5, ge=0, le=1)
    """How far the seed may move the stains' colours and strengths from the average laboratory's."""

    defects: bool = False
    """Draw pen strokes, black pigment, folds, a coverslip's edge and red cells over it."""

    @model_validator(mode="after")
    def _levels_fit(self) -> Self:
        powers = {2**power for power in range(9)}
        rising = all(a < b for a, b in pairwise(self.levels))
        if not self.levels or self.levels[0] != 1 or not rising or not set(self.levels) <= powers:
            raise ValueError(f"levels must be 1, then rising powers of two up to 256, not {self.levels}")
        if min(self.width, self.height) < self.levels[-1]:
            raise ValueError(f"a slide of {self.width} × {self.height} px has no level at 1/{self.levels[-1]}")
        return self


@dataclass(frozen=True)
class SynthResult:
    """A slide that was drawn."""

    slide: Path
    truth: Path
    """Beside the slide: see :mod:`pathopipe.synth.truth`."""
    nuclei: int
    """Nuclei drawn, all of them in the truth."""
    tissue_mm2: float
    """Area of the tissue without tears and vessels."""


class DrawnRegion(NamedTuple):
    """A part of a drawn slide, with its truth."""

    rgb: NDArray[np.uint8]
    """(h, w, 3) pixels before JPEG."""
    labels: NDArray[np.int32]
    """(h, w) 0 between nuclei, else 1 + the nucleus's place in ``outlines``."""
    outlines: Outlines
    """Whole nuclei that show in the region, in level-0 pixels of the slide."""
    classes: NDArray[np.uint8]
    """(n,) places in ``pathopipe.synth.nuclei.CLASSES``."""
