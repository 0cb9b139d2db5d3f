"""Raters whose agreement is known, and their files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import shapely

from pathopipe.annotations.colours import classification
from pathopipe.evaluation.raters import Rater

SQUARE = np.array([[0, 0], [10, 0], [10, 10], [0, 10]], float)


def rater(name, *nuclei):
    """A rater with squares of 10 px: (x, class), or (x, y, class)."""
    places = [(each[0], 0 if len(each) == 2 else each[1]) for each in nuclei]
    polygons = np.array([shapely.Polygon(SQUARE + place) for place in places], object)
    return Rater(name, polygons.reshape(len(nuclei)), np.array([each[-1] for each in nuclei], np.str_))


def write_rater(folder: Path, given: Rater) -> Path:
    features = [
        {
            "type": "Feature",
            "geometry": json.loads(shapely.to_geojson(polygon)),
            "properties": {"objectType": "detection"}
            | ({} if name == "unclassified" else {"classification": classification(name)}),
        }
        for polygon, name in zip(given.polygons, given.classes.tolist(), strict=True)
    ]
    path = folder / f"{given.name}.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}), encoding="utf-8")
    return path


def write_region(path: Path, x0, y0, x1, y1) -> Path:
    geometry = json.loads(shapely.to_geojson(shapely.box(x0, y0, x1, y1)))
    feature = {"type": "Feature", "geometry": geometry, "properties": {"objectType": "annotation"}}
    path.write_text(json.dumps(feature), encoding="utf-8")
    return path
