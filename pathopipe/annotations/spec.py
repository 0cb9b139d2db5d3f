"""Settings of the annotation files."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pathopipe.slide.base import SlideInfo
from pathopipe.spec import Spec


class AnnotationSpec(Spec):
    """How cells and regions are written for QuPath."""

    coords: Literal["qupath", "level0"] = "qupath"
    """Origin of the GeoJSON files: "qupath" for the image as QuPath opens it (it crops some slides to their non-empty
    bounds), "level0" for the slide's own top left corner. They differ only on cropped slides; ``cells.parquet`` is
    always level-0."""
    part_cells: int = Field(20_000, ge=1, le=20_000)
    """Most cells in one file of ``cells.geojson.zip``; QuPath parses each file whole, in memory."""


def origin(info: SlideInfo, spec: AnnotationSpec) -> tuple[int, int]:
    """Return (x, y) in level-0 pixels of the point that GeoJSON coordinates count from.

    QuPath crops a slide to its ``openslide.bounds-*`` where both their width and height differ from the slide's.
    """
    bounds = info.bounds
    if spec.coords == "level0" or bounds is None or bounds.width == info.width or bounds.height == info.height:
        return 0, 0
    return bounds.x0, bounds.y0
