"""Label images and polygon files compared, one by one or folders of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathopipe.evaluation.agreement import (
    Agreement,
    EvaluationError,
    EvaluationResult,
    evaluate_labels,
    evaluate_outlines,
)
from pathopipe.geometry import Outlines

_IMAGES = (".png", ".tif", ".tiff", ".npy")


def evaluate_files(
    predicted: Path, truth: Path, read_outlines: Callable[[Path], Outlines] | None = None
) -> EvaluationResult:
    """Compare two label images or polygon files, or two folders of them matched by file stem.

    Parameters
    ----------
    predicted, truth : Path
        PNG, TIFF or NPY label images, or what ``read_outlines`` reads.
    read_outlines : callable, optional
        Reads any other file, such as GeoJSON, as outlines.

    Raises
    ------
    EvaluationError
        If a file cannot be read, or a true image has no prediction or the other way round.
    """
    ours, theirs = _files(predicted), _files(truth)
    if predicted.is_file() and truth.is_file():
        ours = {_stem(truth): predicted}
    if lone := sorted(set(ours) ^ set(theirs)):
        side = "prediction" if lone[0] in theirs else "truth"
        raise EvaluationError(f"{len(lone)} files have no partner of the same stem; {lone[0]!r} lacks its {side}")
    if not ours:
        raise EvaluationError(f"nothing to compare in {predicted} and {truth}")
    return EvaluationResult({stem: _compare(ours[stem], theirs[stem], read_outlines) for stem in sorted(ours)})


def _stem(path: Path) -> str:
    """Return the file name up to its first dot: cells.geojson.zip and cells.png are about the same image."""
    return path.stem if path.suffix.lower() in _IMAGES else path.name.partition(".")[0]


def _files(path: Path) -> dict[str, Path]:
    if path.is_file():
        return {_stem(path): path}
    if not path.is_dir():
        raise EvaluationError(f"there is no file or folder {path}")
    found: dict[str, Path] = {}
    for file in sorted(path.iterdir()):
        if file.is_file() and not file.name.startswith("."):
            if (stem := _stem(file)) in found:
                raise EvaluationError(f"{path} has two files for {stem!r}: {found[stem].name} and {file.name}")
            found[stem] = file
    return found


def _compare(predicted: Path, truth: Path, read_outlines: Callable[[Path], Outlines] | None) -> Agreement:
    images = [path.suffix.lower() in _IMAGES for path in (predicted, truth)]
    if all(images):
        try:
            return evaluate_labels(_read_labels(predicted), _read_labels(truth))
        except EvaluationError as error:
            raise EvaluationError(f"{predicted} and {truth}: {error}") from error
    if any(images) or read_outlines is None:
        raise EvaluationError(f"cannot compare {predicted.name} with {truth.name}: give two label images")
    return evaluate_outlines(read_outlines(predicted), read_outlines(truth))


def _read_labels(path: Path) -> NDArray[np.integer]:
    try:
        if path.suffix.lower() == ".npy":
            labels = np.load(path, allow_pickle=False)
        elif path.suffix.lower() == ".png":
            from PIL import Image

            with Image.open(path) as image:
                labels = np.asarray(image)
        else:
            labels = _read_tiff(path)
    except (OSError, ValueError) as error:
        raise EvaluationError(f"cannot read the label image {path} ({error})") from error
    return np.asarray(labels)


def _read_tiff(path: Path) -> NDArray[Any]:
    import tifffile

    try:
        return np.asarray(tifffile.imread(path))
    except tifffile.TiffFileError as error:
        raise ValueError(str(error)) from error


def as_text(result: EvaluationResult) -> str:
    """Return ``result`` as a table: a row an image, then all objects pooled, then the mean over the images."""
    wide = max([len(stem) for stem in result.images] + [6])
    lines = [f"{'image':{wide}}  truth  found     F1     PQ     SQ    AJI  AP@.5  AP@.7  AP@.9"]
    for stem, agreement in [*result.images.items(), ("pooled", result.pooled)]:
        figures = [agreement.f1, agreement.pq, agreement.sq, agreement.aji, *map(agreement.ap, (0.5, 0.7, 0.9))]
        counts = f"{agreement.truth:6d} {agreement.predicted:6d}"
        lines.append(f"{stem:{wide}} {counts} " + " ".join(_cell(figure) for figure in figures))
    means = [result.mean(name) for name in ("f1", "pq", "sq", "aji", "ap_0.5", "ap_0.7", "ap_0.9")]
    lines.append(f"{'mean':{wide}} {'':13} " + " ".join(_cell(figure) for figure in means))
    return "\n".join(lines)


def _cell(figure: float | None) -> str:
    return "     –" if figure is None else f"{figure:6.3f}"
