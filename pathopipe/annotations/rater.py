"""A rater's file, GeoJSON or label image, as what :mod:`pathopipe.evaluation` compares."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import shapely

from pathopipe.annotations.read import read_outlines
from pathopipe.evaluation.labels import is_label_image, label_polygons, read_labels
from pathopipe.evaluation.pairs import EvaluationError, valid_polygons
from pathopipe.evaluation.raters import UNCLASSIFIED, Rater
from pathopipe.limits import LIMITS, LimitsSpec


class RaterFile(NamedTuple):
    """What was read."""

    rater: Rater
    left_out: int
    """Points, lines and outlines without area."""


def read_rater(path: Path, name: str, ignore_classes: bool = False, limits: LimitsSpec = LIMITS) -> RaterFile:
    """Read the outlines and classes of one rater.

    Parameters
    ----------
    path : Path
        What :func:`~pathopipe.annotations.read.read_outlines` reads, or a label image (PNG, TIFF, NPY), whose objects
        have no class.
    name : str
        What the rater is called.
    ignore_classes : bool
        Take every nucleus as unclassified.
    limits : LimitsSpec
        The largest file.

    Raises
    ------
    EvaluationError
        If there is no such file, it is no label image, or a class is called "none".
    GeoJSONError
        If the GeoJSON cannot be read.
    """
    if not path.is_file():
        what = "a folder: give one file a rater" if path.is_dir() else "not there"
        raise EvaluationError(f"{path} is {what}")
    if is_label_image(path):
        try:
            polygons = label_polygons(read_labels(path, limits))
        except EvaluationError as error:
            raise EvaluationError(f"{path}: {error}") from error
        return RaterFile(Rater(name, polygons, np.full(len(polygons), UNCLASSIFIED)), 0)
    found = read_outlines(path, limits.max_text_bytes)
    polygons = valid_polygons(found.outlines)
    names = np.array([label.strip() or UNCLASSIFIED for label in found.classes] or [UNCLASSIFIED])
    given = np.full(len(polygons), UNCLASSIFIED) if ignore_classes else names[found.class_id]
    flat = shapely.area(polygons) == 0
    return RaterFile(Rater(name, polygons[~flat], given[~flat]), found.skipped + int(flat.sum()))
