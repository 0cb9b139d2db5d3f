"""Training images from a folder: ``images/ID.png`` and ``labels/ID.png``, and what is known of them beside."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.errors import ModelError
from pathopipe.models.train.classes import ClassTable
from pathopipe.models.train.sample import Listed, Sample, sample_of
from pathopipe.models.train.sets import ImageSet
from pathopipe.models.train.spec import TrainSpec
from pathopipe.pictures import check_training_picture

Row = tuple[int, dict[str, str]]


def folder_samples(images: ImageSet, spec: TrainSpec) -> Iterator[Listed]:
    """Yield the images of a folder, sorted by name; one without a group is a group of its own.

    Raises
    ------
    ModelError
        If there is none, one or its labels cannot be read or do not fit, or a table beside them is wrong.
    """
    tables = _Tables.read(images.folder, ClassTable(spec.class_names, images.class_map, str(images.folder)))
    paths = sorted((images.folder / "images").glob("*.png"))
    if not paths:
        raise ModelError(f"no training images: expected images/*.png and labels/*.png in {images.folder}")
    for path in paths:
        group = tables.groups.get(path.stem, "")
        weight = images.group_weights.get(group, 1.0) * images.weight
        named = {path.stem, group} | {path.stem[:8]}
        sample = _load(path, images, spec, weight, tables)
        yield Listed(sample, group or path.stem, bool(named & set(images.held_out)))


@dataclass(frozen=True)
class _Tables:
    """What is known of a folder's images besides pixels and labels."""

    groups: dict[str, str]
    """Image id to group."""
    mpp: dict[str, float]
    """Image id to µm per pixel."""
    marks: dict[str, dict[int, int]]
    """Image id to instance to mark."""
    unlisted: int
    """Mark of nuclei that ``classes.csv`` does not list."""

    @classmethod
    def read(cls, folder: Path, classes: ClassTable) -> _Tables:
        """Return what lies in ``folder``."""
        groups = {row["id"]: row["group"] for _, row in _rows(folder / "groups.csv", "id", "group")}
        listed = list(_rows(folder / "classes.csv", "id", "instance", "class"))
        found = classes.marks([row["class"] for _, row in listed])
        marks: dict[str, dict[int, int]] = {}
        for (line, row), mark in zip(listed, found.tolist(), strict=True):
            number = _number(row["instance"], folder / "classes.csv", line, whole=True)
            if marks.setdefault(row["id"], {}).setdefault(int(number), mark) != mark:
                raise ModelError(f"{folder / 'classes.csv'}, line {line}: {row['id']} {int(number)} has two classes")
        mpp = {
            row["id"]: _number(row["mpp"], folder / "mpp.csv", line)
            for line, row in _rows(folder / "mpp.csv", "id", "mpp")
        }
        return cls(groups, mpp, marks, int(classes.marks([""])[0]))


def _rows(path: Path, *columns: str) -> Iterator[Row]:
    """Yield line number and values of the rows of a table; none where the file is not there."""
    if not path.exists():
        return
    with open(path, newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = set(columns) - set(reader.fieldnames or ())
        if missing:
            raise ModelError(f"{path} lacks the column {', '.join(sorted(missing))}; it needs {', '.join(columns)}")
        for row in reader:
            if any(row[column] is None for column in columns):
                raise ModelError(f"{path}, line {reader.line_num}: fewer values than columns")
            yield reader.line_num, {column: row[column].strip() for column in columns}


def _number(text: str, path: Path, line: int, whole: bool = False) -> float:
    try:
        value = float(int(text)) if whole else float(text)
    except ValueError:
        value = 0.0
    if not (np.isfinite(value) and value > 0):
        raise ModelError(f"{path}, line {line}: {text!r} is no {'instance id' if whole else 'µm per pixel'}")
    return value


def _load(path: Path, images: ImageSet, spec: TrainSpec, weight: float, tables: _Tables) -> Sample:
    label_path = images.folder / "labels" / path.name
    check_training_picture(path)
    check_training_picture(label_path)
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    label_image = cv2.imread(str(label_path), cv2.IMREAD_UNCHANGED)
    if bgr is None or label_image is None:
        raise ModelError(f"cannot read {path if bgr is None else label_path}: each image needs a 16-bit PNG of ids")
    if label_image.ndim != 2 or label_image.shape != bgr.shape[:2]:
        raise ModelError(f"{label_path} has shape {label_image.shape}, its image {bgr.shape[:2]}")
    labels = np.asarray(label_image, np.int32)
    mpp = tables.mpp.get(path.stem, images.mpp)
    scale = mpp / spec.mpp if mpp else spec.median_nucleus_px / _median_diameter(labels, label_path)
    rgb = np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
    return sample_of(path.stem, rgb, labels, _marks(labels, path.stem, tables, images), scale, weight)


def _marks(labels: NDArray[np.int32], name: str, tables: _Tables, images: ImageSet) -> NDArray[np.uint8]:
    """Return (h, w) the marks of the classes of the nuclei in ``labels``."""
    known = tables.marks.get(name, {})
    strange = sorted(set(known) - set(np.unique(labels).tolist()))
    if strange:
        raise ModelError(
            f"{images.folder / 'classes.csv'}: {name} has no instance {strange[0]} in its labels; "
            "are the tables of other labels?"
        )
    mark_of = np.full(int(labels.max()) + 1, tables.unlisted, np.uint8)
    mark_of[0] = 0
    mark_of[list(known)] = list(known.values())
    return np.asarray(mark_of[labels], np.uint8)


def _median_diameter(labels: NDArray[np.integer], path: Path) -> float:
    areas = np.bincount(labels.ravel())[1:]
    areas = areas[areas > 0]
    if not areas.size:
        raise ModelError(f"{path} has no nuclei to take the scale from: give its mpp in mpp.csv, or that of the set")
    return float(2 * np.sqrt(np.median(areas) / np.pi))
