"""How far the network's output is from its targets."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional


def star_loss(out: Tensor, maps: Tensor, distances: Tensor, weight: Tensor) -> Tensor:
    """Return the loss of a batch, a scalar.

    Parameters
    ----------
    out : (n, 3 + rays, h, w)
        The network's output.
    maps : (n, 3, h, w)
        Probability, foreground and boundary.
    distances : (n, rays, h, w)
    weight : (n, h, w)
        Of the distances. Errors count relative to the length: a pixel matters less on a long ray.
    """
    bce = functional.binary_cross_entropy_with_logits
    loss = bce(out[:, 0], maps[:, 0]) + 0.5 * bce(out[:, 1], maps[:, 1]) + 0.5 * bce(out[:, 2], maps[:, 2])
    relative = ((out[:, 3:] - distances).abs() / (1 + 0.15 * distances)).mean(dim=1)
    return loss + 0.3 * (relative * weight).sum() / weight.sum().clamp(min=1)
