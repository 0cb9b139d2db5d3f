"""Distillation: what other models say, on average and from several sides, is learnt beside the labels.

A network's errors partly depend on how the tissue happens to lie: the mean of several models, each shown the patch
turned and mirrored, is better than any of them, and too slow for a slide. One network can learn to say it at a glance
(Hinton et al. 2015, "Distilling the Knowledge in a Neural Network"). The teachers see just the patch that is learnt
from, stained anew and warped, as in Beyer et al. 2022, "Knowledge distillation: A good teacher is patient and
consistent"; so they also speak where the labels are silent.
"""

from __future__ import annotations

from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pathopipe.errors import ModelError
from pathopipe.models.arithmetic import offered
from pathopipe.models.base import ModelSpec
from pathopipe.models.inference import Net
from pathopipe.models.int8 import Int8Net
from pathopipe.models.load import model_file
from pathopipe.models.net_file import load_net
from pathopipe.models.network import SURFACES
from pathopipe.models.predictor import placed
from pathopipe.models.train.spec import LossSpec, TrainSpec

SIDES = 8
"""Ways to look at a patch: four quarter turns, mirrored or not."""


class Teachers(NamedTuple):
    """Models that are asked about every batch."""

    nets: tuple[Net, ...]
    views: int
    """Sides that each looks from; which ones is drawn for every step."""
    seed: int

    @classmethod
    def of(cls, spec: TrainSpec, device: torch.device) -> Self:
        """Return the teachers of a training: none where it names none.

        Raises
        ------
        ModelError
            If one is missing, damaged, no pathopipe model, or of another working resolution.
        ConfigError
            If no model of that name is registered.
        """
        return cls(tuple(_net(name, spec, device) for name in spec.teaching.models), spec.teaching.views, spec.seed)

    def surfaces(self, image: Tensor, step: int) -> Tensor:
        """Return (n, SURFACES, h / 2, w / 2): the mean probability and foreground of ``image`` (n, 3, h, w) uint8."""
        sides = np.random.default_rng((self.seed, step)).permutation(SIDES)[: self.views].tolist()
        total = torch.zeros((), device=image.device)
        with torch.inference_mode():
            for net in self.nets:
                for side in sides:
                    seen = turned(image, side).contiguous(memory_format=torch.channels_last)
                    maps = net.surfaces(net.features_of(seen))[:, :SURFACES].float()
                    total = total + turned_back(maps.sigmoid_(), side)
        return (total / (len(self.nets) * len(sides))).clone()


def turned(image: Tensor, side: int) -> Tensor:
    """Return ``image`` (…, h, w) as seen from one of the ``SIDES``: turned by side % 4 quarters, then mirrored."""
    seen = image.rot90(side % 4, (-2, -1))
    return seen.flip(-1) if side >= SIDES // 2 else seen


def turned_back(image: Tensor, side: int) -> Tensor:
    """Return what :func:`turned` was given."""
    seen = image.flip(-1) if side >= SIDES // 2 else image
    return seen.rot90(-(side % 4), (-2, -1))


def teaching_loss(out: Tensor, said: Tensor, spec: LossSpec) -> Tensor:
    """Return the cross-entropy of ``out`` (n, outputs, h, w) to what the teachers ``said`` (n, SURFACES, h, w).

    Probability and foreground weigh as they do beside the labels; boundary and distances are learnt from labels alone.
    """
    entropy = functional.binary_cross_entropy_with_logits(out[:, :SURFACES], said, reduction="none").mean(dim=(0, 2, 3))
    return spec.probability * entropy[0] + spec.foreground * entropy[1]


def _net(name: str, spec: TrainSpec, device: torch.device) -> Net:
    file = model_file(ModelSpec(name=name))
    if file.card.mpp != spec.mpp:
        raise ModelError(
            f"{name} works at {file.card.mpp} µm/px and cannot teach a model of {spec.mpp} µm/px: use one of the same"
        )
    net = load_net(file)
    cpu = device.type == "cpu"
    return Int8Net(net) if cpu and offered(ModelSpec(device="cpu"))[0] == "int8" else placed(net, device)
