"""The stream of training patches: patch number i is the same whoever prepares it, and when."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from pathopipe.models.train.augment import drawn_patch, real_patch
from pathopipe.models.train.dataset import Sample
from pathopipe.models.train.spec import TrainSpec
from pathopipe.models.train.targets import targets

Item = tuple[Tensor, Tensor, Tensor, Tensor]


class Patches(Dataset[Item]):
    """Patch ``i`` from random numbers seeded with (seed, i): image (3, h, w) uint8, maps, distances, weight."""

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
            rgb, labels = drawn_patch(rng, size)
        else:
            sample = self.samples[int(rng.choice(len(self.samples), p=self.chances))]
            rgb, labels = real_patch(rng, sample, size)
        target = targets(labels, self.spec.net.rays, rng)
        maps = np.stack([target.probability, target.foreground, target.boundary])
        arrays = np.ascontiguousarray(rgb.transpose(2, 0, 1)), maps, target.distances, target.weight
        image, maps_, distances, weight = (torch.from_numpy(array) for array in arrays)
        return image, maps_, distances, weight


class _Order(Sampler[int]):
    """The patches in order, from ``start``."""

    def __init__(self, start: int, stop: int) -> None:
        self.start, self.stop = start, stop

    def __iter__(self) -> Iterator[int]:
        return iter(range(self.start, self.stop))

    def __len__(self) -> int:
        return self.stop - self.start


def batches(spec: TrainSpec, samples: list[Sample], start: int) -> DataLoader[Item]:
    """Return the batches from step ``start`` on."""
    patches = Patches(spec, samples)
    order = _Order(start * spec.batch, len(patches))
    # Not forked: OpenCV's and torch's threads do not survive a fork, and the worker would wait for them for ever.
    return DataLoader(
        patches,
        spec.batch,
        sampler=order,
        num_workers=spec.workers,
        worker_init_fn=_one_thread,
        multiprocessing_context="spawn" if spec.workers else None,
    )


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
