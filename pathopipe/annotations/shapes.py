"""The geometries of features: of a kind that QuPath reads, closed, and valid on its grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.annotations.rules import MANY_PARTS

GRID_PX = 0.01
"""QuPath 0.6 and later round every coordinate to this before they test validity."""
BATCH = 5_000
_OTHERS = ("Point", "MultiPoint", "LineString", "MultiLineString")
Points = NDArray[np.float64]


class ShapeCheck:
    """Checks geometries as they come, the polygons' validity many at a time.

    ``found`` collects (place, rule), where ``place`` is whatever :meth:`add` was given.
    """

    def __init__(self) -> None:
        self.found: list[tuple[Any, str]] = []
        self._places: list[Any] = []
        self._polygons: list[list[list[Points]]] = []

    def add(self, place: Any, geometry: Any) -> None:
        """Check ``geometry``, a JSON value."""
        rules, parts = _read(geometry)
        self.found += [(place, rule) for rule in rules]
        if parts:
            self._places.append(place)
            self._polygons.append(parts)
            if len(self._polygons) == BATCH:
                self.finish()

    def finish(self) -> None:
        """Test the validity of what was added."""
        if not self._polygons:
            return
        shapes = _shapes(self._polygons)
        for index in np.flatnonzero(~(shapely.is_valid(shapes) & (shapely.area(shapes) > 0))):
            flat = shapely.area(shapely.convex_hull(shapes[index])) == 0
            self.found.append((self._places[index], "collapsed" if flat else "invalid"))
        self._places.clear()
        self._polygons.clear()


def _read(geometry: Any) -> tuple[list[str], list[list[Points]]]:
    """Return the rules that are broken, and the parts as lists of rings where they can be tested further."""
    if not isinstance(geometry, dict):
        return ["geometry-missing"], []
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "Polygon":
        return _read_parts([coordinates])
    if kind == "MultiPolygon":
        parts = coordinates if isinstance(coordinates, list) else [None]
        rules = ["one-part"] * (len(parts) == 1) + ["many-parts"] * (len(parts) > MANY_PARTS)
        broken, rings = _read_parts(parts)
        return rules + broken, rings
    if kind == "GeometryCollection":
        return ["geometry-collection"], []
    return ([] if kind in _OTHERS else ["geometry-kind"]), []


def _read_parts(parts: list[Any]) -> tuple[list[str], list[list[Points]]]:
    try:
        rings = [[_points(ring) for ring in part] for part in parts]
    except (TypeError, ValueError, OverflowError):
        return ["coordinates"], []
    every = [ring for part in rings for ring in part]
    if not rings or not all(rings) or not all(np.isfinite(ring).all() for ring in every):
        return ["coordinates"], []
    if any(len(ring) < 4 for ring in every):
        return ["ring-short"], []
    if any(ring[0, 0] != ring[-1, 0] or ring[0, 1] != ring[-1, 1] for ring in every):
        return ["ring-open"], []
    scaled = np.concatenate(every) / GRID_PX
    return ["decimals"] * bool((np.abs(scaled - np.rint(scaled)) > 1e-4).any()), rings


def _points(ring: Any) -> Points:
    """Return (k, 2) x, y of a JSON ring; a third coordinate is left out."""
    if not isinstance(ring, list):
        raise TypeError("a ring is no list")
    points = np.array(ring)  # of texts or ragged lists it makes no numbers
    if points.ndim != 2 or points.shape[1] < 2 or points.dtype.kind not in "if":
        raise ValueError("a ring is no list of points")
    return points[:, :2].astype(np.float64)


def _shapes(polygons: list[list[list[Points]]]) -> NDArray[np.object_]:
    """Return multipolygons on QuPath's grid, in its steps: whole numbers, so that validity is exact."""
    rings = [ring for parts in polygons for part in parts for ring in part]
    per_part = [len(part) for parts in polygons for part in parts]
    coords = np.rint(np.concatenate(rings) / GRID_PX)
    offsets = tuple(
        np.concatenate([[0], np.cumsum(counts)])
        for counts in ([len(ring) for ring in rings], per_part, [len(parts) for parts in polygons])
    )
    return np.asarray(shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, coords, offsets), object)
