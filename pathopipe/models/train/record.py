"""What a training was made of: settings, digests of its images, versions. ``<out>.run.json`` and a part of the card."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch

import pathopipe
from pathopipe.files import write_json
from pathopipe.models.base import ModelSpec
from pathopipe.models.card import read_model_file
from pathopipe.models.load import model_file
from pathopipe.models.train.pseudo import unlabelled_files
from pathopipe.models.train.ranks import Ranks
from pathopipe.models.train.sample import Sample
from pathopipe.models.train.sets import ImageSet, TrainingSet, UnlabelledSet
from pathopipe.models.train.spec import TrainSpec
from pathopipe.models.train.state import State
from pathopipe.slide.identity import of_file, of_folder

_OF_THIS_MACHINE: Any = {
    "out": True,
    "start": True,
    "workers": True,
    "threads": True,
    "sets": True,
    "teaching": {"models"},
}
"""Settings that the model file leaves out: they are paths, or do not change the weights."""


class Record:
    """What is told of a training, beside its model and inside it."""

    def __init__(self, spec: TrainSpec, samples: Sequence[Sample], held_out: Sequence[Sample]) -> None:
        """Read the files of every set for their digests."""
        self.spec = spec
        self.digests = [set_digest(images) for images in spec.sets]
        self.start_sha256 = read_model_file(spec.start).card.sha256 if spec.start else None
        self.teachers_sha256 = [model_file(ModelSpec(name=name)).card.sha256 for name in spec.teaching.models]
        self._trained, self._held_out = ([sample.id for sample in part] for part in (samples, held_out))

    def of_model(self) -> dict[str, Any]:
        """Return what the model file says of its training: the same bytes wherever the images lie."""
        return {
            "settings": self.spec.model_dump(mode="json", exclude=_OF_THIS_MACHINE, exclude_defaults=True),
            "start_sha256": self.start_sha256,
            **({"teachers_sha256": self.teachers_sha256} if self.teachers_sha256 else {}),
            "data": [
                {"title": images.shown, "sha256": digest}
                for images, digest in zip(self.spec.sets, self.digests, strict=True)
            ],
            "images": {"trained": len(self._trained), "held_out": len(self._held_out)},
            "versions": _versions(),
        }

    def write(self, ranks: Ranks, bf16: bool, state: State, finished: bool) -> None:
        """Write ``<out>.run.json``."""
        gpu = torch.cuda.get_device_name(ranks.device) if ranks.device.type == "cuda" else None
        values = {
            "settings": self.spec.model_dump(mode="json"),
            "teachers_sha256": self.teachers_sha256,
            "data": [
                {**images.model_dump(mode="json"), "sha256": digest}
                for images, digest in zip(self.spec.sets, self.digests, strict=True)
            ],
            "images": {"trained": self._trained, "held_out": self._held_out},
            "versions": _versions(),
            "machine": {"device": gpu or platform.machine(), "processes": ranks.count, "bf16": bf16},
            "finished": finished,
            "steps": state.step,
            "stopped_early": finished and state.step < self.spec.iterations,
            "validation": {"latest": state.scores, "best": state.best_scores},
        }
        write_json(self.spec.out.with_name(f"{self.spec.out.name}.run.json"), values)


def set_digest(images: TrainingSet) -> str:
    """Return the SHA-256 of a set's files: names and bytes of images, labels and tables, annotations, or the teacher.

    Of an annotated slide, which may be large, size and parts of the content are taken (``pathopipe.slide.identity``).
    """
    digest = hashlib.sha256()
    if isinstance(images, ImageSet):
        for path in _files(images.folder):
            _add(digest, path.relative_to(images.folder).as_posix(), path)
    elif isinstance(images, UnlabelledSet):
        for path in unlabelled_files(images):
            _add(digest, path.relative_to(images.unlabelled).as_posix(), path)
        digest.update(model_file(ModelSpec(name=str(images.teacher))).card.sha256.encode())
    else:
        slide = of_folder(images.slide, ()) if images.slide.is_dir() else of_file(images.slide)
        digest.update(slide.encode())
        _add(digest, "annotations", images.annotations)
    return digest.hexdigest()


def _files(folder: Path) -> Iterable[Path]:
    return sorted([*(folder / "images").glob("*.png"), *(folder / "labels").glob("*.png"), *folder.glob("*.csv")])


def _add(digest: Any, name: str, path: Path) -> None:
    content = path.read_bytes()
    digest.update(f"{name} {len(content)}\n".encode())
    digest.update(content)


def _versions() -> dict[str, str]:
    return {
        "pathopipe": pathopipe.__version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
