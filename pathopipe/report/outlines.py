"""Outlines on pictures, many at once."""

from __future__ import annotations

from collections.abc import Mapping

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.geometry import Rect
from pathopipe.instances import Instances
from pathopipe.report.lettering import Colour

_SHIFT = 4  # cv2's fixed point: sixteenths of a pixel


def draw_cells(
    picture: NDArray[np.uint8], rect: Rect, cells: Instances, colours: Mapping[str, Colour], thickness: int
) -> None:
    """Draw the outlines of ``cells`` into ``picture`` (h, w, 3), which shows ``rect`` of level 0."""
    for class_id, name in enumerate(cells.classes):
        chosen = cells.outlines.take(cells.class_id == class_id)
        rings = np.split(_fixed(chosen.coords, rect, picture), chosen.offsets[1:-1]) if len(chosen) else []
        _polylines(picture, rings, colours[name], thickness)


def draw_area(picture: NDArray[np.uint8], rect: Rect, area: shapely.Geometry, colour: Colour, thickness: int) -> None:
    """Draw the borders of ``area`` (polygons in level-0 pixels), holes too, into ``picture``, which shows ``rect``."""
    lines = [shapely.get_coordinates(line)[:-1] for line in shapely.get_parts(shapely.boundary(area))]
    _polylines(picture, [_fixed(line, rect, picture) for line in lines], colour, thickness)


def _fixed(xy: NDArray[np.floating], rect: Rect, picture: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Return level-0 points as cv2's fixed-point pixels, where whole numbers are the centres of pixels."""
    height, width = picture.shape[:2]
    scale = np.array([width / rect.width, height / rect.height])
    pixels = (xy - np.array([rect.x0, rect.y0])) * scale - 0.5
    return np.asarray(np.round(pixels * 2**_SHIFT), np.int32)


def _polylines(picture: NDArray[np.uint8], rings: list[NDArray[np.int32]], colour: Colour, thickness: int) -> None:
    if rings:
        cv2.polylines(picture, rings, True, colour, thickness, cv2.LINE_AA, _SHIFT)
