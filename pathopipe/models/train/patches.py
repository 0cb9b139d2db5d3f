"""The stream of training patches: patch number i is the same whoever prepares it, and when."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from pathopipe.models.network import OUTPUT_STRIDE
from pathopipe.models.train.augment import drawn_patch, real_patch
from pathopipe.models.train.classes import NOT_ANNOTATED, UNKNOWN
from pathopipe.models.train.sample import Sample
from pathopipe.models.train.spec import TrainSpec
from pathopipe.models.train.targets import targets

Item = tuple[Tensor, Tensor, Tensor, Tensor]


class Patches(Dataset[Item]):
    """Patch ``i`` from random numbers seeded with (seed, i).

    An item is the image (3, h, w) uint8 and, at half its size, float32: probability, foreground, boundary and class
    marks (4, h, w), the distances, and their weight (h, w).
    """

    def __init__(self, spec: TrainSpec, samples: list[Sample]) -> None:
        self.spec = spec
        self.samples = samples
        weights = np.array([sample.weight for sample in samples])
        self.chances = weights / weights.sum() if samples else weights

    def __len__(self) -> int:
        return self.spec.iterations * self.spec.batch

    def __getitem__(self, index: int) -> Item:
        rng = np.random.default_rng((self.spec.seed, index))
        size = self.spec.patch_px
        if not self.samples or rng.random() < self.spec.drawn:
            rgb, labels = drawn_patch(rng, size, self.spec.augment)
            marks = np.full(labels.shape, UNKNOWN, np.uint8)
        else:
            sample = self.samples[int(rng.choice(len(self.samples), p=self.chances))]
            donor = self.samples[int(rng.choice(len(self.samples), p=self.chances))]
            rgb, labels, marks = real_patch(rng, sample, size, self.spec.augment, donor)
        target = targets(labels, self.spec.net.rays, rng)
        marked = marks[::OUTPUT_STRIDE, ::OUTPUT_STRIDE].astype(np.float32)
        maps = np.stack([target.probability, target.foreground, target.boundary, marked])
        weight = target.weight * (marked != NOT_ANNOTATED)
        arrays = np.ascontiguousarray(rgb.transpose(2, 0, 1)), maps, target.distances, weight
        image, maps_, distances, weights = (torch.from_numpy(array) for array in arrays)
        return image, maps_, distances, weights


class _Order(Sampler[int]):
    """The patches in order from step ``start`` on: of every ``batch``, the part of one process."""

    def __init__(self, spec: TrainSpec, start: int, rank: int, ranks: int) -> None:
        part = spec.batch // ranks
        steps = range(start, spec.iterations)
        self._first = [step * spec.batch + rank * part for step in steps]
        self._part = part

    def __iter__(self) -> Iterator[int]:
        return (first + index for first in self._first for index in range(self._part))

    def __len__(self) -> int:
        return len(self._first) * self._part


def batches(spec: TrainSpec, samples: list[Sample], start: int, rank: int = 0, ranks: int = 1) -> DataLoader[Item]:
    """Return the batches from step ``start`` on: of each, the part of process ``rank`` of ``ranks``."""
    patches = Patches(spec, samples)
    # Not forked: OpenCV's and torch's threads do not survive a fork, and the worker would wait for them for ever.
    return DataLoader(
        patches,
        spec.batch // ranks,
        sampler=_Order(spec, start, rank, ranks),
        num_workers=spec.workers,
        worker_init_fn=_one_thread,
        multiprocessing_context="spawn" if spec.workers else None,
    )


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
