"""All training images of a training, brought to one scale, and which of them are held out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pathopipe.errors import ModelError
from pathopipe.models.train.annotated import annotated_samples
from pathopipe.models.train.folder import folder_samples
from pathopipe.models.train.pseudo import unlabelled_samples
from pathopipe.models.train.sample import Listed, Sample
from pathopipe.models.train.sets import ImageSet, UnlabelledSet
from pathopipe.models.train.spec import TrainSpec


def load_samples(spec: TrainSpec) -> tuple[list[Sample], list[Sample]]:
    """Return the training samples and the held-out ones, set by set, sorted by name.

    Raises
    ------
    ModelError
        If a folder, a label image, a slide or its annotations are missing or wrong.
    """
    training: list[Sample] = []
    held_out: list[Sample] = []
    for number, images in enumerate(spec.sets):
        if isinstance(images, UnlabelledSet):  # what a model says is no truth to measure by
            training += [each.sample for each in unlabelled_samples(images, spec)]
            continue
        if isinstance(images, ImageSet):
            listed = list(folder_samples(images, spec))
        else:
            listed = list(annotated_samples(images, spec))
        chosen = _chosen(listed, spec.hold_out_share, (spec.seed, number))
        for each in listed:
            (held_out if each.held_out or each.group in chosen else training).append(each.sample)
    if spec.sets and not training:
        raise ModelError("no training images are left: all are held out; take fewer into held_out")
    return training, held_out


def _chosen(listed: Sequence[Listed], share: float, seed: tuple[int, int]) -> set[str]:
    """Return groups that hold ``share`` of the images together, as nearly as whole groups do; never all of them."""
    free = [each.group for each in listed if not each.held_out]
    groups = sorted(set(free))
    chosen: set[str] = set()
    wanted, taken = share * len(free), 0
    for index in np.random.default_rng(seed).permutation(len(groups)):
        count = free.count(groups[index])
        if abs(taken + count - wanted) < abs(taken - wanted) and len(chosen) + 1 < len(groups):
            chosen.add(groups[index])
            taken += count
    return chosen
