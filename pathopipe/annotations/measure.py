"""What is measured on the outline of every cell."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.annotations.valid import PER_PX, tenths
from pathopipe.geometry import Outlines

Column = NDArray[np.float64]

LABELS = {
    "area_um2": "Area µm^2",
    "perimeter_um": "Perimeter µm",
    "major_axis_um": "Major axis µm",
    "minor_axis_um": "Minor axis µm",
    "eccentricity": "Eccentricity",
    "solidity": "Solidity",
    "score": "Detection probability",
    "class_probability": "Class probability",
    "hematoxylin_od_mean": "Hematoxylin: Mean OD",
}
"""Column of ``cells.parquet`` to its name in QuPath. A model's or stain's further measurements keep their own names."""


def shape_columns(outlines: Outlines, mpp_x: float, mpp_y: float) -> dict[str, Column]:
    """Return measurements of the shape, each (n,).

    Parameters
    ----------
    outlines : Outlines
        Level-0 pixels, on the grid of the files.
    mpp_x, mpp_y : float
        µm per level-0 pixel; lengths and angles are those on the glass where the two differ.

    Returns
    -------
    dict of str to (n,) float64
        ``area_um2``; ``perimeter_um``; ``major_axis_um`` and ``minor_axis_um``, the axes of the ellipse with the same
        second moments; ``eccentricity``, of that ellipse, 0 for a circle; ``solidity``, the area's part of its convex
        hull.
    """
    local = _on_glass(outlines, mpp_x, mpp_y)
    area, perimeter, hull, (xx, yy, xy) = (np.zeros(shape) for shape in [len(local)] * 3 + [(3, len(local))])
    for part, edges in local.edges():
        area[part], perimeter[part], hull[part] = np.abs(edges.area), edges.lengths(), edges.hull_areas()
        xx[part], yy[part], xy[part] = edges.second_moments().T
    bent = np.isnan(hull)
    hull[bent] = shapely.area(shapely.convex_hull(local.take(bent).to_shapely()))
    mean, spread = (xx + yy) / 2, np.hypot((xx - yy) / 2, xy)
    large, small = mean + spread, np.maximum(mean - spread, 0)
    return {
        "area_um2": area,
        "perimeter_um": perimeter,
        "major_axis_um": 4 * np.sqrt(large),
        "minor_axis_um": 4 * np.sqrt(small),
        "eccentricity": np.sqrt(1 - np.divide(small, large, out=np.ones_like(large), where=large > 0)),
        "solidity": np.minimum(np.divide(area, hull, out=np.ones_like(area), where=hull > 0), 1),
    }


def _on_glass(outlines: Outlines, mpp_x: float, mpp_y: float) -> Outlines:
    """Return the outlines in µm, each relative to its first vertex: far from the origin float32 is too coarse."""
    grid = tenths(outlines.coords)
    first = np.repeat(grid[outlines.offsets[:-1]], np.diff(outlines.offsets), axis=0)
    return outlines.with_coords((grid - first) * (mpp_x / PER_PX, mpp_y / PER_PX))
