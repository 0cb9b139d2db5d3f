"""How far the network's output is from its targets."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from pathopipe.models.train.classes import NOT_ANNOTATED
from pathopipe.models.train.spec import LossSpec


def star_loss(out: Tensor, maps: Tensor, distances: Tensor, weight: Tensor, *, spec: LossSpec) -> Tensor:
    """Return the loss of a batch, a scalar.

    Parameters
    ----------
    out : (n, outputs, h, w)
        The network's output.
    maps : (n, 4, h, w)
        Probability, foreground and boundary, then marks: k + 1 where the class is k, 0 where it is not known, 255
        where nothing is known and nothing is learnt; see :mod:`pathopipe.models.train.classes`.
    distances : (n, rays, h, w)
    weight : (n, h, w)
        Of the distances. Errors count relative to the length: a pixel matters less on a long ray.
    spec : LossSpec
        The parts and their weights.
    """
    known = (maps[:, 3] != NOT_ANNOTATED).float()
    rays = distances.shape[1]
    loss = spec.probability * _mean(_probability(out[:, 0], maps[:, 0], spec), known)
    for channel, weighs in ((1, spec.foreground), (2, spec.boundary)):
        loss = loss + weighs * _mean(_entropy(out[:, channel], maps[:, channel]), known)
    if spec.dice:
        loss = loss + spec.dice * dice_loss(out[:, 1], maps[:, 1], known)
    relative = ((out[:, 3 : 3 + rays] - distances).abs() / (1 + 0.15 * distances)).mean(dim=1)
    loss = loss + spec.distances * _mean(relative, weight)
    return loss + spec.classes * class_loss(out[:, 3 + rays :], maps[:, 3]) if out.shape[1] > 3 + rays else loss


def class_loss(logits: Tensor, marks: Tensor) -> Tensor:
    """Return the mean cross-entropy of ``logits`` (n, classes, h, w) over the pixels whose ``marks`` name a class."""
    numbers = torch.arange(1, logits.shape[1] + 1, device=marks.device)
    true = marks[:, None] == numbers[:, None, None]
    return -(logits.log_softmax(dim=1) * true).sum() / true.sum().clamp(min=1)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1)


def _entropy(logits: Tensor, target: Tensor) -> Tensor:
    return functional.binary_cross_entropy_with_logits(logits, target, reduction="none")


def _probability(logits: Tensor, target: Tensor, spec: LossSpec) -> Tensor:
    if spec.kind == "bce":
        return _entropy(logits, target)
    return quality_focal_loss(logits, target, spec.focal_gamma)


def quality_focal_loss(logits: Tensor, target: Tensor, gamma: float) -> Tensor:
    """Return |target − p|^gamma × cross-entropy of every pixel: focal loss for targets between 0 and 1.

    Li et al. 2020, "Generalized Focal Loss", eq. 5.
    """
    return (target - logits.sigmoid()).abs() ** gamma * _entropy(logits, target)


def dice_loss(logits: Tensor, target: Tensor, known: Tensor) -> Tensor:
    """Return 1 − 2 Σ p t / (Σ p² + Σ t²) over ``known`` pixels (Milletari et al. 2016, "V-Net"), 1 added to both."""
    share, target = logits.sigmoid() * known, target * known
    return 1 - (2 * (share * target).sum() + 1) / ((share**2).sum() + (target**2).sum() + 1)
