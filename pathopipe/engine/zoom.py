"""What a worker does to look at a field again, at another magnification, for the sizes that cells have there."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pathopipe.engine.retry import TILE_FAULTS, check_tiles_own
from pathopipe.engine.worker import PixelSource, open_predictor
from pathopipe.geometry import Box, Rect
from pathopipe.models.base import ModelSpec
from pathopipe.models.border import cut_at_border, mirrored
from pathopipe.slide.open import open_slide


@dataclass(frozen=True, slots=True)
class Look:
    """A field to look at."""

    field: Rect
    """In level-0 pixels, within the slide."""
    zoom: float
    """2 shows the model everything twice as large as it is by the stated resolution."""


@dataclass(frozen=True)
class LookAgain:
    """The task of the scale check: a look in, the areas of the cells in it out."""

    source: PixelSource
    model: ModelSpec

    def __call__(self, look: Look) -> tuple[float, ...]:
        """Return the area of every cell that is found in µm² of the stated resolution; none if it cannot be looked at.

        Nothing is lost then but a remark, so what would set a tile aside is passed over here.
        """
        try:
            return self._areas_um2(look)
        except TILE_FAULTS as error:
            check_tiles_own(error)
            return ()

    def _areas_um2(self, look: Look) -> tuple[float, ...]:
        frame, predictor = self.source.frame, open_predictor(self.model)
        stride, halo = predictor.card.stride_px, predictor.card.halo_px
        width = max(round(look.field.width / frame.scale_x * look.zoom) // stride, 1) * stride
        height = max(round(look.field.height / frame.scale_y * look.zoom) // stride, 1) * stride
        with open_slide(self.source.slide, self.source.slide_spec, limits=None) as slide:
            pixels = slide.read(look.field, width, height)
        inside, read = Box(0, 0, width, height), Box(-halo, -halo, width + halo, height + halo)
        found = predictor.predict(mirrored(pixels, inside, read)[np.newaxis])[0]
        outlines, _ = cut_at_border(found.outlines, inside, read)
        per_px = look.field.width / width * look.field.height / height / (frame.scale_x * frame.scale_y) * frame.mpp**2
        return tuple((outlines.areas() * per_px).tolist())
