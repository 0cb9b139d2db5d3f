"""Where the tissue is, and where artefacts: found on a low-power picture, kept as polygons in level-0 pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.errors import UnsuitableSlideError
from pathopipe.geometry import Frame
from pathopipe.slide.base import Slide, SlideInfo
from pathopipe.tiling.artefacts import find_artefacts
from pathopipe.tiling.glass import is_dark_field
from pathopipe.tiling.outline import on_grid, outline
from pathopipe.tiling.overview import read_overview
from pathopipe.tiling.spec import ArtefactSpec, TissueSpec
from pathopipe.tiling.stained import Stained

_ARTEFACTS = ArtefactSpec()


@dataclass(frozen=True, eq=False)
class Tissue:
    """The tissue of one slide without its artefacts; empty where there is none."""

    polygons: shapely.MultiPolygon
    """Outlines with holes in level-0 pixels, valid, coordinates rounded to 0.1 px. Artefacts are not in them."""
    area_mm2: float
    """Area of the polygons."""
    slide_area_mm2: float
    """Area of the whole slide, padding included."""
    thumbnail: NDArray[np.uint8]
    """(h, w, 3) RGB: the low-power picture that the tissue was found on."""
    frame: Frame
    """Frame of ``thumbnail``."""
    artefacts: Mapping[str, shapely.MultiPolygon] = field(default_factory=dict)
    """Kind (``tiling.artefacts.KINDS``) to what would have been tissue and was masked, as polygons like the above."""
    blue_over_green: float | None = None
    """Median ratio of the optical densities in the tissue: about 0.5 in H&E, above 0.65 where there is DAB; None where
    nothing was measured."""
    glass: tuple[float, float, float] = (255.0, 255.0, 255.0)
    """RGB of the empty glass, 0 to 255; white where it was not measured."""

    def without_picture(self) -> Tissue:
        """Return the same with an empty ``thumbnail``, which may take 48 MB."""
        return replace(self, thumbnail=np.empty((0, 0, 3), np.uint8))

    def touches(self, rects: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return for every rectangle (n, 4: x0, y0, x1, y1 in level-0 pixels) whether it meets tissue: (n,)."""
        shapely.prepare(self.polygons)  # an index over the edges, built once
        met: NDArray[np.bool_] = shapely.intersects(self.polygons, shapely.box(*np.asarray(rects, float).T))
        return met

    def bounds_in(self, rects: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return for every rectangle (as above) the bounds of what tissue it holds: (n, 4), NaN where there is none."""
        bounds = np.array(rects, np.float64).reshape(-1, 4)
        boxes = shapely.box(*bounds.T)
        shapely.prepare(self.polygons)
        cut = ~shapely.contains(self.polygons, boxes)
        tops, row = np.unique(bounds[:, [1, 3]], axis=0, return_inverse=True)
        x0, _, x1, _ = self.polygons.bounds
        for index, (y0, y1) in enumerate(tops):
            # A row of rectangles at a time, each cut from what tissue the row holds: less to go through for each.
            here = np.flatnonzero(cut & (row == index))
            if len(here):
                strip = shapely.intersection(self.polygons, shapely.box(x0, y0, x1, y1))
                bounds[here] = shapely.bounds(shapely.intersection(strip, boxes[here]))
        return bounds


def find_tissue(slide: Slide, spec: TissueSpec, artefacts: ArtefactSpec = _ARTEFACTS) -> Tissue:
    """Find the tissue of ``slide``: H&E or IHC, pale or dark, on white, grey or yellowish glass.

    Black, white and transparent padding, dust, fibres and coverslip edges on the glass are left out, and so is what
    ``artefacts`` says. A slide without tissue gives an empty result.

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
    dark = is_dark_field(rgb)
    if spec.enabled and dark:
        raise UnsuitableSlideError(
            f"{info.path} is light on dark, like fluorescence, and stained tissue on bright glass is needed; "
            "if it is brightfield after all, use --set tissue.enabled=false to analyse everything"
        )
    if dark or not (spec.enabled or artefacts.enabled):
        return _tissue(_whole(info), rgb, frame, info)
    stained = Stained.of(rgb, spec)
    everything = stained.pieces(frame.mpp, spec) if spec.enabled else np.ones(rgb.shape[:2], bool)
    if not artefacts.enabled:
        return _tissue(_outline(everything, frame, info), rgb, frame, info)
    found = find_artefacts(stained, everything, frame.mpp, artefacts)
    clean = everything & ~found.all
    if spec.enabled and np.count_nonzero(clean) < np.count_nonzero(everything):
        # Slivers beside ink and dirt are too small to be tissue now.
        clean &= stained.pieces(frame.mpp, spec, found.all)
    del everything
    polygons = _outline(clean, frame, info) if spec.enabled else _whole(info)
    masked: dict[str, shapely.MultiPolygon] = {}
    for kind, mask in found.masks.items():
        if mask.any():
            masked[kind] = on_grid(
                shapely.difference(_outline(mask, frame, info), shapely.union_all([*masked.values()]))
            )
    polygons = on_grid(shapely.difference(polygons, shapely.union_all([*masked.values()]))) if masked else polygons
    bare = _tissue(polygons, rgb, frame, info)
    return replace(bare, artefacts=masked, blue_over_green=found.blue_over_green, glass=stained.glass.colour)


def _whole(info: SlideInfo) -> shapely.MultiPolygon:
    return on_grid(shapely.box(0, 0, info.width, info.height))


def _outline(mask: NDArray[np.bool_], frame: Frame, info: SlideInfo) -> shapely.MultiPolygon:
    return outline(mask, frame, info.width, info.height)


def _tissue(polygons: shapely.MultiPolygon, rgb: NDArray[np.uint8], frame: Frame, info: SlideInfo) -> Tissue:
    mm2_per_px = info.scale.x * info.scale.y / 1e6
    whole_mm2 = info.width * info.height * mm2_per_px
    return Tissue(polygons, polygons.area * mm2_per_px, whole_mm2, rgb, frame)
