"""``annotations.geojson``: the tissue, its artefacts, and what was not analysed, as regions for QuPath."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely

from pathopipe.annotations.colours import classification
from pathopipe.annotations.ids import uuid_of
from pathopipe.annotations.spec import AnnotationSpec, origin
from pathopipe.files import atomic_file
from pathopipe.slide.base import SlideInfo
from pathopipe.tiling.tissue import Tissue

TITLES = {"pen": "pen", "black": "black ink, pigment or dirt", "fold": "fold"}
"""Kinds of artefact (``tiling.artefacts.KINDS``) as they are named in QuPath."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Regions of one kind."""

    name: str
    """Class in QuPath."""
    title: str
    """Name in QuPath, numbered where there are several pieces."""
    geometry: shapely.Geometry
    """Level-0 pixels; polygons, holes allowed. May be empty."""
    locked: bool
    """Whether QuPath keeps them from being moved by accident."""


def write_annotations(
    path: Path, tissue: Tissue, not_analysed: shapely.Geometry, info: SlideInfo, spec: AnnotationSpec
) -> None:
    """Write tissue, artefacts and the regions where tiles failed as one FeatureCollection of annotations.

    Every connected piece is an annotation of its own, its coordinates rounded to whole pixels; pieces that have no
    area then are left out. The same regions give the same bytes.

    Parameters
    ----------
    path : Path
        The file; it appears when it is whole.
    tissue : Tissue
        With its artefacts.
    not_analysed : shapely geometry
        Polygons in level-0 pixels.
    info : SlideInfo
        The slide: its scale for the areas, its bounds for the origin.
    spec : AnnotationSpec
        The origin of the coordinates.

    Raises
    ------
    MissingScaleError
        If the slide's resolution is not known.
    """
    layers = [
        Layer("Tissue", "Tissue", tissue.polygons, locked=True),
        *(
            Layer("Artefact", f"Artefact ({TITLES[kind]})", area, locked=True)
            for kind, area in tissue.artefacts.items()
        ),
        Layer("Not analysed", "Not analysed", not_analysed, locked=True),
    ]
    lines = [orjson.dumps(feature) for layer in layers for feature in _features(layer, info, spec)]
    with atomic_file(path) as file:
        file.write(b'{"type":"FeatureCollection","features":[\n' + b",\n".join(lines) + b"\n]}\n")


def _features(layer: Layer, info: SlideInfo, spec: AnnotationSpec) -> Iterator[dict[str, Any]]:
    shift, pieces = np.array(origin(info, spec)), _pieces(layer.geometry)
    for number, piece in enumerate(pieces, 1):
        written = shapely.transform(piece, lambda xy: xy - shift)
        yield {
            "type": "Feature",
            "id": uuid_of(info.identity, layer.name.encode("utf-8") + shapely.to_wkb(piece, byte_order=1)),
            "geometry": orjson.loads(shapely.to_geojson(written)),
            "properties": {
                "objectType": "annotation",
                "name": layer.title if len(pieces) == 1 else f"{layer.title} {number}",
                "classification": classification(layer.name),
                "isLocked": layer.locked,
                "measurements": {f"{layer.name} area mm^2": round(piece.area * info.scale.x * info.scale.y / 1e6, 6)},
            },
        }


def _pieces(geometry: shapely.Geometry) -> list[shapely.Polygon]:
    """Return the connected pieces on whole pixels, from the top down, then from the left.

    Whole numbers are exact, so a polygon that is valid here is so after any shift and in QuPath's own rounding, even
    where a hole touches the outline.
    """
    pieces = shapely.get_parts(shapely.set_precision(shapely.make_valid(geometry), 1))
    polygons = pieces[(shapely.get_type_id(pieces) == shapely.GeometryType.POLYGON) & (shapely.area(pieces) > 0)]
    whole = shapely.transform(shapely.normalize(polygons), lambda xy: np.rint(xy) + 0.0)
    x, y, *_ = shapely.bounds(whole).T
    return [whole[index] for index in np.lexsort((x, y))]
