"""The objects of a GeoJSON file as QuPath shows them: kind, name, class, and shape, holes included."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import shapely

from pathopipe.annotations.features import MAX_BYTES, features, texts
from pathopipe.annotations.read import class_name
from pathopipe.errors import GeoJSONError

_AREAS = (shapely.GeometryType.POLYGON, shapely.GeometryType.MULTIPOLYGON)


class Drawn(NamedTuple):
    """One object."""

    kind: str
    """"annotation", "detection", "cell" or "tile"."""
    name: str
    """"" where it has none."""
    class_name: str
    """As in :func:`pathopipe.annotations.read.class_name`."""
    shape: shapely.Geometry
    """A valid polygon or multipolygon with an area, in the file's coordinates; of a cell with a nucleus the nucleus."""


def read_objects(path: Path, max_bytes: int = MAX_BYTES) -> Iterator[Drawn]:
    """Yield the objects in ``path`` that have an area, in the file's order; points and lines are passed over.

    Raises
    ------
    GeoJSONError
        If the file, a file in it, or a shape cannot be read; the message tells which.
    """
    for text in texts(path, max_bytes):
        if isinstance(text, GeoJSONError):
            raise GeoJSONError(f"{path.name}: {text}")
        where = f"{path.name}: {text.entry}" if text.entry else path.name
        read = 0
        try:
            for feature in features(text.text):
                read += 1
                shape = _shape(feature.get("nucleusGeometry") or feature.get("geometry"))
                if shape is not None:
                    properties = feature.get("properties") or {}
                    kind = str(properties.get("objectType") or "annotation")
                    yield Drawn(kind, str(properties.get("name") or ""), class_name(feature), shape)
        except GeoJSONError as error:
            raise GeoJSONError(f"{where}: {error}") from None
        except (AttributeError, TypeError, ValueError, KeyError, IndexError, shapely.errors.ShapelyError) as error:
            raise GeoJSONError(f"{where}, feature {read} cannot be read: {error}") from error


def _shape(geometry: dict[str, Any] | None) -> shapely.Geometry | None:
    """Return the polygons of ``geometry``, made valid; None where it has no area."""
    if not geometry or geometry["type"] not in ("Polygon", "MultiPolygon"):
        return None
    parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
    polygons = [
        shapely.Polygon(rings[0], rings[1:])
        for rings in ([[point[:2] for point in ring] for ring in part] for part in parts)
    ]
    if len(polygons) == 1 and polygons[0].is_valid:  # nearly always
        return polygons[0] if polygons[0].area > 0 else None
    whole = shapely.union_all([part for polygon in polygons for part in shapely.get_parts(shapely.make_valid(polygon))])
    areas = [part for part in shapely.get_parts(whole) if shapely.get_type_id(part) in _AREAS and part.area > 0]
    if not areas:
        return None
    return areas[0] if len(areas) == 1 else shapely.MultiPolygon(areas)
