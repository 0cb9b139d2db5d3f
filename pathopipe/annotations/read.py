"""Outlines from GeoJSON, ours or another tool's, for evaluation and as truth of drawn slides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import shapely
import shapely.geometry
from numpy.typing import NDArray

from pathopipe.annotations.features import MAX_BYTES, features, texts
from pathopipe.errors import GeoJSONError
from pathopipe.geometry import Outlines

OBJECTS = ("detection", "cell", "tile")
"""Kinds of objects in QuPath; what is none of them is an annotation."""


@dataclass(frozen=True)
class Read:
    """Outlines read from a file, in its order."""

    outlines: Outlines
    """Coordinates as in the file: level-0 pixels unless it was written for a slide that QuPath crops."""
    class_id: NDArray[np.int64]
    """(n,) index into ``classes``."""
    classes: tuple[str, ...]
    """Class names in the order of their first use, derived ones as "Tumor: Positive"; "" where there is none."""
    skipped: int
    """Features without a polygon, such as points and lines."""


def read_outlines(path: Path, max_bytes: int = MAX_BYTES) -> Read:
    """Read the outer rings of all polygons of a .geojson, .json, .gz or .zip file.

    A MultiPolygon gives an outline for each of its parts; holes are left out, and so is a ring that encloses nothing.
    Where a file has detections or cells, its annotations are regions around them and are left out too.
    Of a cell that has a nucleus the nucleus is read.

    Raises
    ------
    GeoJSONError
        If the file, a file in it, or a coordinate cannot be read; the message tells which.
    """
    found: dict[bool, _Found] = {False: _Found(), True: _Found()}
    for text in texts(path, max_bytes):
        if isinstance(text, GeoJSONError):
            raise GeoJSONError(f"{path.name}: {text}")
        where = f"{path.name}: {text.entry}" if text.entry else path.name
        for number, feature in enumerate(_numbered(text.text, where), 1):
            try:
                found[_is_object(feature)].add(feature)
            except (TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
                raise GeoJSONError(f"{where}, feature {number} cannot be read: {error}") from error
    return found[bool(found[True].rings)].read()


def read_region(path: Path, max_bytes: int = MAX_BYTES) -> shapely.Geometry:
    """Read the annotations of a GeoJSON file as one region, holes left out of it.

    Returns
    -------
    Polygon or MultiPolygon
        Coordinates as in the file.

    Raises
    ------
    GeoJSONError
        If the file cannot be read, or has no annotation with an area; the message tells which.
    """
    shapes, objects = [], 0
    for text in texts(path, max_bytes):
        if isinstance(text, GeoJSONError):
            raise GeoJSONError(f"{path.name}: {text}")
        for number, feature in enumerate(_numbered(text.text, path.name), 1):
            try:
                geometry = feature.get("geometry") or {}
                if _is_object(feature) or geometry.get("type") not in ("Polygon", "MultiPolygon"):
                    objects += 1
                else:
                    shapes.append(shapely.make_valid(shapely.geometry.shape(geometry)))
            except (TypeError, ValueError, AttributeError, KeyError, IndexError, shapely.GEOSException) as error:
                raise GeoJSONError(f"{path.name}, feature {number} cannot be read: {error}") from error
    region = shapely.union_all(shapes)
    if not shapely.area(region):
        raise GeoJSONError(
            f"{path.name} has no region: draw it as an annotation with an area ({objects} cells, points or lines found)"
        )
    return region


def _numbered(text: str, where: str) -> Iterator[Any]:
    try:
        yield from features(text)
    except GeoJSONError as error:
        raise GeoJSONError(f"{where}: {error}") from None


def _is_object(feature: Any) -> bool:
    properties = feature.get("properties") or {}
    return properties.get("objectType", properties.get("object_type")) in OBJECTS


class _Found:
    """Rings and classes as they come."""

    def __init__(self) -> None:
        self.rings: list[NDArray[np.float32]] = []
        self.class_ids: list[int] = []
        self.classes: dict[str, int] = {}
        self.skipped = 0

    def add(self, feature: dict[str, Any]) -> None:
        geometry = _geometry(feature)
        kind, coordinates = geometry.get("type"), geometry.get("coordinates", [])
        if kind not in ("Polygon", "MultiPolygon"):
            self.skipped += 1
            return
        for part in [coordinates] if kind == "Polygon" else coordinates:
            ring = np.array([(point[0], point[1]) for point in part[0]], np.float64)
            if not np.isfinite(ring).all():
                raise ValueError("a coordinate is not finite")
            ring = ring[:-1] if len(ring) > 1 and (ring[0] == ring[-1]).all() else ring
            if len(ring) < 3:
                self.skipped += 1
                continue
            self.rings.append(ring.astype(np.float32))
            self.class_ids.append(self.classes.setdefault(class_name(feature), len(self.classes)))

    def read(self) -> Read:
        return Read(Outlines.of(self.rings), np.array(self.class_ids, np.int64), tuple(self.classes), self.skipped)


def _geometry(feature: dict[str, Any]) -> dict[str, Any]:
    """Return what a feature's outline is; of a cell with a nucleus "geometry" is the border of the cytoplasm."""
    is_cell = (feature.get("properties") or {}).get("objectType") == "cell"
    return (is_cell and feature.get("nucleusGeometry")) or feature.get("geometry") or {}


def class_name(feature: dict[str, Any]) -> str:
    """Return the class of a feature as QuPath shows it; "" where it has none."""
    given = (feature.get("properties") or {}).get("classification")
    if isinstance(given, str):
        return given
    if not isinstance(given, dict):
        return ""
    names = given.get("names")
    return ": ".join(map(str, names)) if isinstance(names, list) else str(given.get("name") or "")
