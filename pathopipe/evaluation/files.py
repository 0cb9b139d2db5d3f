"""Label images and polygon files compared, one by one or folders of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pathopipe.evaluation.agreement import Agreement, agreement, evaluate_labels
from pathopipe.evaluation.labels import is_label_image, label_polygons, read_labels
from pathopipe.evaluation.pairs import EvaluationError, polygon_pairs, valid_polygons
from pathopipe.evaluation.result import EvaluationResult
from pathopipe.geometry import Outlines
from pathopipe.limits import LIMITS, LimitsSpec

ReadOutlines = Callable[[Path], Outlines]


def evaluate_files(
    predicted: Path, truth: Path, read_outlines: ReadOutlines | None = None, limits: LimitsSpec = LIMITS
) -> EvaluationResult:
    """Compare two label images or polygon files, or two folders of them matched by file stem.

    Parameters
    ----------
    predicted, truth : Path
        PNG, TIFF or NPY label images, or what ``read_outlines`` reads; one may be the one and one the other, then a
        pixel of the label image is one of level 0.
    read_outlines : callable, optional
        Reads any other file, such as GeoJSON, as outlines.
    limits : LimitsSpec, optional
        The largest label image.

    Raises
    ------
    EvaluationError
        If a file cannot be read, or a true image has no prediction or the other way round.
    """
    files = matched_files(predicted, truth)
    return EvaluationResult({stem: _compare(*both, read_outlines, limits) for stem, both in files.items()})


def matched_files(predicted: Path, truth: Path) -> dict[str, tuple[Path, Path]]:
    """Return file stem to (prediction, truth), sorted: of two folders by stem, or the two files themselves.

    Raises
    ------
    EvaluationError
        If a file has no partner, or there is none at all.
    """
    ours, theirs = files_by_stem(predicted), files_by_stem(truth)
    if predicted.is_file() and truth.is_file():
        ours = {stem_of(truth): predicted}
    if lone := sorted(set(ours) ^ set(theirs)):
        side = "prediction" if lone[0] in theirs else "truth"
        raise EvaluationError(f"{len(lone)} files have no partner of the same stem; {lone[0]!r} lacks its {side}")
    if not ours:
        raise EvaluationError(f"nothing to compare in {predicted} and {truth}")
    return {stem: (ours[stem], theirs[stem]) for stem in sorted(ours)}


def stem_of(path: Path) -> str:
    """Return the file name up to its first dot: cells.geojson.zip and cells.png are about the same image."""
    return path.stem if is_label_image(path) else path.name.partition(".")[0]


def files_by_stem(path: Path) -> dict[str, Path]:
    """Return the files in folder ``path``, or ``path`` itself, by :func:`stem_of`.

    Raises
    ------
    EvaluationError
        If there is nothing at ``path``, or two files have the same stem.
    """
    if path.is_file():
        return {stem_of(path): path}
    if not path.is_dir():
        raise EvaluationError(f"there is no file or folder {path}")
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            if (stem := stem_of(file)) in found:
                raise EvaluationError(f"{path} has two files for {stem!r}: {found[stem].name} and {file.name}")
            found[stem] = file
    return found


def read_polygons(path: Path, read_outlines: ReadOutlines, limits: LimitsSpec = LIMITS) -> NDArray[np.object_]:
    """Return (n,) the objects of a label image or of any other file as valid shapely polygons.

    Raises
    ------
    EvaluationError
        If a label image cannot be read or is none.
    """
    if not is_label_image(path):
        return valid_polygons(read_outlines(path))
    try:
        return label_polygons(read_labels(path, limits))
    except EvaluationError as error:
        raise EvaluationError(f"{path}: {error}") from error


def _compare(predicted: Path, truth: Path, read_outlines: ReadOutlines | None, limits: LimitsSpec) -> Agreement:
    images = [is_label_image(path) for path in (predicted, truth)]
    if all(images):
        try:
            return evaluate_labels(read_labels(predicted, limits), read_labels(truth, limits))
        except EvaluationError as error:
            raise EvaluationError(f"{predicted} and {truth}: {error}") from error
    if read_outlines is None:
        raise EvaluationError(f"cannot compare {predicted.name} with {truth.name}: give two label images")
    return agreement(polygon_pairs(*(read_polygons(path, read_outlines, limits) for path in (predicted, truth))))
