"""Self-training: images without labels, with the nuclei that a model is sure of; what it is unsure of is not learnt.

As in Lee 2013, "Pseudo-Label", with a part of the pixels left out of the loss, as in Xie et al. 2020, "Self-training
with Noisy Student". The teacher sees the image as it is, the network that learns sees it warped and stained anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.errors import ModelError
from pathopipe.evaluation.labels import painted
from pathopipe.models.base import ModelSpec
from pathopipe.models.border import cut_at_border
from pathopipe.models.card import ModelFile
from pathopipe.models.classify import classified
from pathopipe.models.load import model_file
from pathopipe.models.net_file import load_net
from pathopipe.models.network import OUTPUT_STRIDE, StarNet, folded
from pathopipe.models.postprocess import decode
from pathopipe.models.train.classes import NOT_ANNOTATED, UNKNOWN
from pathopipe.models.train.sample import Listed, sample_of
from pathopipe.models.train.sets import UnlabelledSet
from pathopipe.models.train.spec import TrainSpec
from pathopipe.models.train.validate import look
from pathopipe.pictures import check_training_picture

_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")
_LARGEST_PX = 30_000_000
"""Pixels of an image at the teacher's resolution: it is predicted in one piece."""


def unlabelled_samples(images: UnlabelledSet, spec: TrainSpec) -> Iterator[Listed]:
    """Yield the images of a folder with what the teacher is sure of, sorted by name; none is ever held out.

    Raises
    ------
    ModelError
        If there are no images, one cannot be read or is too large, or the teacher is no model.
    """
    teacher = _Teacher.of(images)
    paths = unlabelled_files(images)
    if not paths:
        raise ModelError(f"no images in {images.unlabelled}: expected {', '.join(_SUFFIXES)}")
    for path in paths:
        rgb = _at(_read(path), images.mpp / teacher.file.card.mpp, path)
        labels, marks = teacher.labelled(rgb, images, spec)
        sample = sample_of(path.stem, rgb, labels, marks, teacher.file.card.mpp / spec.mpp, images.weight)
        yield Listed(sample, path.stem, False)


def unlabelled_files(images: UnlabelledSet) -> list[Path]:
    """Return the images of the folder and of the folders in it, sorted, without those left out."""
    return sorted(
        path
        for path in images.unlabelled.rglob("*")
        if path.suffix.lower() in _SUFFIXES and not any(fnmatch(path.name, pattern) for pattern in images.leave_out)
    )


class _Teacher(NamedTuple):
    """The model that labels."""

    file: ModelFile
    net: StarNet

    @classmethod
    def of(cls, images: UnlabelledSet) -> _Teacher:
        file = model_file(ModelSpec(name=str(images.teacher)))
        return cls(file, folded(load_net(file)))

    def labelled(
        self, rgb: NDArray[np.uint8], images: UnlabelledSet, spec: TrainSpec
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """Return labels and marks (h, w) of ``rgb``, an image at the teacher's resolution.

        Nuclei are those scored at least ``images.sure``. Unsure is every other pixel whose probability or foreground
        is above ``images.unsure``, and those of nuclei scored lower.
        """
        height, width = rgb.shape[:2]
        seen = look(self.net, rgb)
        probability, foreground, *class_maps = seen.output.maps
        low = min(images.unsure, self.file.decode.threshold)
        decoding = self.file.decode.model_copy(update={"threshold": low})
        longest = self.file.card.max_diameter_um / self.file.card.mpp
        found = decode(probability, foreground, seen.output.distances, decoding, OUTPUT_STRIDE, longest)
        outlines, kept = cut_at_border(found.outlines, seen.inside, seen.read)
        placed = outlines.with_coords(outlines.coords + np.array([seen.read.x0, seen.read.y0]))
        all_labels = painted(placed, (height, width))
        sure = found.score[kept] >= images.sure
        labels = np.where(np.concatenate([[False], sure])[all_labels], all_labels, 0).astype(np.int32)
        doubtful = cv2.resize(np.maximum(probability, foreground), None, fx=OUTPUT_STRIDE, fy=OUTPUT_STRIDE)
        x0, y0 = -seen.read.x0, -seen.read.y0
        unsure = (doubtful[y0 : y0 + height, x0 : x0 + width] > images.unsure) | (all_labels > 0)
        marks = np.where(unsure & (labels == 0), np.uint8(NOT_ANNOTATED), np.uint8(UNKNOWN))
        if class_maps and self.file.card.classes == spec.class_names:
            ids = classified(np.stack(class_maps), found.regions, found.region)[0][kept]
            marks = np.where(labels > 0, np.concatenate([[0], ids + 1])[labels], marks)
        return labels, marks.astype(np.uint8)


def _read(path: Path) -> NDArray[np.uint8]:
    check_training_picture(path)
    bgr = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise ModelError(f"cannot read {path}: expected an RGB image of 8 bits; leave it out with leave_out")
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)


def _at(rgb: NDArray[np.uint8], scale: float, path: Path) -> NDArray[np.uint8]:
    """Return ``rgb`` scaled by ``scale``."""
    size = [max(1, round(side * scale)) for side in (rgb.shape[1], rgb.shape[0])]
    if size[0] * size[1] > _LARGEST_PX:
        raise ModelError(f"{path} has {size[0]} × {size[1]} pixels at the teacher's resolution: cut it into tiles")
    return np.asarray(cv2.resize(rgb, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR), np.uint8)
