"""From a mask to smooth polygons in level-0 pixels."""

from __future__ import annotations

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.geometry import Frame

_GRID = 0.1  # level-0 px: the precision of all that is written


def outline(mask: NDArray[np.bool_], frame: Frame, width: int, height: int) -> shapely.MultiPolygon:
    """Return the outlines of ``mask``, with holes, valid with coordinates rounded to 0.1 px.

    Parameters
    ----------
    mask : (h, w) bool
        In the pixels of ``frame``.
    frame : Frame
        The frame of the mask.
    width, height : int
        Size of the slide in level-0 pixels; polygons do not reach beyond.
    """
    # Twice as fine and blurred: the contour of a staircase becomes a slope. Replicated at the border, so that tissue
    # which reaches it ends there and not a pixel before.
    fine = cv2.resize(mask.astype(np.uint8) * 255, None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    fine = cv2.GaussianBlur(cv2.copyMakeBorder(fine, 8, 8, 8, 8, cv2.BORDER_REPLICATE), (0, 0), 1.5)
    contours, tree = cv2.findContours((fine >= 128).astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return shapely.MultiPolygon()
    scale = np.array([frame.scale_x, frame.scale_y]) / 2
    rings = [(contour[:, 0].astype(np.float64) - 7.5) * scale for contour in contours]
    shells = [index for index in range(len(rings)) if tree[0][index][3] < 0 and len(rings[index]) >= 3]
    holes: dict[int, list[NDArray[np.float64]]] = {shell: [] for shell in shells}
    for index, ring in enumerate(rings):
        parent = tree[0][index][3]
        if parent in holes and len(ring) >= 3:
            holes[parent].append(ring)
    found = shapely.make_valid(np.array([shapely.Polygon(rings[shell], holes[shell]) for shell in shells]))
    # Contours run through the centres of the outermost pixels, half a fine pixel inside the mask's edge.
    grown = shapely.buffer(found, float(scale.mean()) / 2, quad_segs=1)
    smooth = shapely.simplify(shapely.union_all(grown), float(scale.mean()))
    inside = shapely.intersection(smooth, shapely.box(0, 0, width, height))
    return on_grid(inside)


def on_grid(shape: shapely.Geometry) -> shapely.MultiPolygon:
    """Return the polygons of ``shape`` with coordinates rounded to 0.1 px, valid, in a fixed order."""
    snapped = shapely.normalize(shapely.set_precision(shape, _GRID))
    parts = [part for part in shapely.get_parts(snapped) if isinstance(part, shapely.Polygon) and not part.is_empty]
    # What set_precision leaves are multiples of 0.1 up to the last bit; rounding gives the shortest decimals.
    return shapely.transform(shapely.MultiPolygon(parts), lambda xy: np.round(xy, 1))
