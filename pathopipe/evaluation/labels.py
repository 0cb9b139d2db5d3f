"""Label images from files: 0 is background, every other value one object; and their objects as polygons."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.errors import LimitError
from pathopipe.evaluation.pairs import EvaluationError
from pathopipe.geometry import Outlines
from pathopipe.limits import LIMITS, LimitsSpec
from pathopipe.pictures import BROKEN, open_picture

SUFFIXES = (".png", ".tif", ".tiff", ".npy")


def is_label_image(path: Path) -> bool:
    """Return whether the name of ``path`` is that of a label image."""
    return path.suffix.lower() in SUFFIXES


def read_labels(path: Path, limits: LimitsSpec = LIMITS) -> NDArray[np.integer]:
    """Return the label image in a PNG, TIFF or NPY file as it is there.

    Raises
    ------
    EvaluationError
        If the file cannot be read.
    LimitError
        If it has more pixels than ``limits`` allow.
    """
    try:
        if path.suffix.lower() == ".npy":
            return _read_npy(path, limits)
        if path.suffix.lower() == ".png":
            with open_picture(path, limits) as image:
                return np.asarray(image)
        return _read_tiff(path, limits)
    except LimitError:
        raise
    except BROKEN as error:
        raise EvaluationError(f"cannot read the label image {path} ({error})") from error


def _read_npy(path: Path, limits: LimitsSpec) -> NDArray[Any]:
    mapped = np.load(path, mmap_mode="r", allow_pickle=False)  # its header alone is read
    limits.check("max_image_px", mapped.size, f"{path}: values")
    return np.array(mapped)


def _read_tiff(path: Path, limits: LimitsSpec) -> NDArray[Any]:
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page: Any = file.pages.first
            largest = max(file.series[0].size, page.tilewidth * page.tilelength)
            limits.check("max_image_px", largest, f"{path}: pixels")
            return np.asarray(file.asarray())
    except tifffile.TiffFileError as error:
        raise ValueError(str(error)) from error


def label_polygons(labels: NDArray[np.integer]) -> NDArray[np.object_]:
    """Return (n,) shapely polygons of the objects of a label image (h, w), in the order of their values.

    They follow the edges of the pixels, so their areas are the numbers of pixels; an object in several pieces is a
    MultiPolygon, and one with a hole has it.

    Raises
    ------
    EvaluationError
        If it is no label image.
    """
    if labels.ndim != 2 or labels.dtype.kind not in "iub" or (labels.size and labels.min() < 0):
        raise EvaluationError(f"no label image: shape {labels.shape}, type {labels.dtype}, or values below 0")
    # Every row is cut into runs of one value; a run is a box, and an object the union of its boxes.
    starts = np.ones(labels.shape, np.bool_)
    starts[:, 1:] = labels[:, 1:] != labels[:, :-1]
    y, x0 = np.nonzero(starts)
    x1 = np.append(x0[1:], 0)
    x1[np.append(y[1:] != y[:-1], True)] = labels.shape[1] if labels.size else 0
    value = labels[y, x0]
    order = np.argsort(value, kind="stable")
    order = order[value[order] != 0]
    boxes = shapely.box(x0[order], y[order], x1[order], y[order] + 1)
    first = np.flatnonzero(np.diff(value[order].astype(np.int64), prepend=0))
    polygons = np.empty(len(first), object)
    for number, run in enumerate(np.split(boxes, first[1:]) if len(first) else []):
        polygons[number] = shapely.union_all(run)
    # The union leaves a vertex where two boxes meet on a straight edge.
    return np.asarray(shapely.simplify(polygons, 0), object)


def painted(outlines: Outlines, shape: tuple[int, int]) -> NDArray[np.int32]:
    """Return ``outlines`` as labels (h, w) from 1: the pixels that are mostly inside; later ones cover earlier ones."""
    labels = np.zeros(shape, np.int32)
    for index in range(len(outlines)):
        # cv2 has pixel centres at whole numbers and paints the border pixels too: hence four times finer, in 1/16 px
        ring = np.round(outlines.ring(index) * 64 - 32).astype(np.int32)
        x0, y0 = np.maximum((ring.min(axis=0) >> 6) - 1, 0)
        x1, y1 = np.minimum((ring.max(axis=0) >> 6) + 3, shape[::-1])
        if x1 > x0 and y1 > y0:
            fine = np.zeros(((y1 - y0) * 4, (x1 - x0) * 4), np.uint8)
            cv2.fillPoly(fine, [ring - (x0 * 64, y0 * 64) + 24], 255, shift=4)
            inside = cv2.resize(fine, (int(x1 - x0), int(y1 - y0)), interpolation=cv2.INTER_AREA) > 127
            labels[y0:y1, x0:x1][inside] = index + 1
    return labels
