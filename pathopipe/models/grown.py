"""A network made larger without forgetting: it says what the smaller one said, and learns on from there.

After Chen et al. 2016, "Net2Net": every weight of the smaller network stays in its place. New channels see everything,
but the old ones do not listen to them yet: those weights begin at zero. A new residual block adds nothing at first.
"""

from __future__ import annotations

import torch
from torch import nn

from pathopipe.models.network import NetSpec, Residual, StarNet


def can_grow(small: NetSpec, large: NetSpec) -> bool:
    """Return whether a network of ``small`` has its place in one of ``large``, outputs and classes being the same."""
    sizes = [(*spec.widths, *spec.blocks, spec.head) for spec in (small, large)]
    same = (small.rays, small.classes) == (large.rays, large.classes)
    return same and all(before <= after for before, after in zip(*sizes, strict=True))


def grown(net: StarNet, spec: NetSpec) -> StarNet:
    """Return a network of ``spec`` that says of every image what ``net`` says of it.

    Parameters
    ----------
    net : StarNet
        Its batch normalisation not folded; left as it is.
    spec : NetSpec
        One that :func:`can_grow` holds for. What is new gets random weights from torch's generator.
    """
    large = StarNet(spec)
    old = net.state_dict()
    with torch.no_grad():
        for name, value in large.state_dict().items():
            if name not in old or not value.is_floating_point():
                continue
            kept = old[name]
            if value.ndim == 4:  # a convolution: what was there does not listen to what is new
                value[: kept.shape[0], kept.shape[1] :] = 0
                value[: kept.shape[0], : kept.shape[1]] = kept
            else:
                value[: kept.shape[0]] = kept
    for name, block in large.named_modules():
        if isinstance(block, Residual) and f"{name}.first.0.weight" not in old:
            scale = block.second[1].weight
            assert isinstance(scale, nn.Parameter)
            nn.init.zeros_(scale)
    return large
