"""Where the tissue is: found on a low-power picture, kept as polygons in level-0 pixels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.errors import UnsuitableSlideError
from pathopipe.geometry import Frame
from pathopipe.slide.base import Slide
from pathopipe.tiling.glass import is_dark_field
from pathopipe.tiling.outline import on_grid, outline
from pathopipe.tiling.overview import read_overview
from pathopipe.tiling.spec import TissueSpec
from pathopipe.tiling.stained import tissue_mask


@dataclass(frozen=True, eq=False)
class Tissue:
    """The tissue of one slide; empty where there is none."""

    polygons: shapely.MultiPolygon
    """Outlines with holes in level-0 pixels, valid, coordinates rounded to 0.1 px."""
    area_mm2: float
    """Area of the polygons."""
    slide_area_mm2: float
    """Area of the whole slide, padding included."""
    thumbnail: NDArray[np.uint8]
    """(h, w, 3) RGB: the low-power picture that the tissue was found on."""
    frame: Frame
    """Frame of ``thumbnail``."""

    def touches(self, rects: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return for every rectangle (n, 4: x0, y0, x1, y1 in level-0 pixels) whether it meets tissue: (n,)."""
        shapely.prepare(self.polygons)  # an index over the edges, built once
        met: NDArray[np.bool_] = shapely.intersects(self.polygons, shapely.box(*np.asarray(rects, float).T))
        return met


def find_tissue(slide: Slide, spec: TissueSpec) -> Tissue:
    """Find the tissue of ``slide``: H&E or IHC, pale or dark, on white, grey or yellowish glass.

    Black, white and transparent padding, dust, fibres and coverslip edges are left out. A slide without tissue gives
    an empty result.

    Raises
    ------
    UnsuitableSlideError
        If the picture is light on dark, such as fluorescence.
    MissingScaleError
        If the slide's resolution is not known.
    SlideError
        If it cannot be decoded.
    """
    rgb, frame = read_overview(slide, spec.mpp)
    info = slide.info
    mm2_per_px = info.scale.x * info.scale.y / 1e6
    if not spec.enabled:
        polygons = on_grid(shapely.box(0, 0, info.width, info.height))
    elif is_dark_field(rgb):
        raise UnsuitableSlideError(
            f"{info.path} is light on dark, like fluorescence, and stained tissue on bright glass is needed; "
            "if it is brightfield after all, use --set tissue.enabled=false to analyse everything"
        )
    else:
        polygons = outline(tissue_mask(rgb, frame.mpp, spec), frame, info.width, info.height)
    slide_area_mm2 = info.width * info.height * mm2_per_px
    return Tissue(polygons, polygons.area * mm2_per_px, slide_area_mm2, rgb, frame)
