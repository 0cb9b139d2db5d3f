"""How large the network's activations get, from its batch normalisation alone: no image is needed.

Batch normalisation knows the mean and the spread of every channel before the activation: its own offset and scale.
What a rectified channel then has, and what the sum of two has, follows as for normal distributions, as in Nagel et al.
2019, "Data-free quantization through weight equalization and bias correction" (ICCV). So every model file can be
quantised, whatever it was trained on.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pathopipe.models.network import Residual, StarNet

_SPREADS = 6.0
"""Standard deviations above the mean that still count (docs/adr/0011 has what was measured)."""


class _Spread(NamedTuple):
    """What values a channel has, by channel."""

    mean: Tensor
    deviation: Tensor

    def plus(self, other: _Spread) -> _Spread:
        """Return the spread of the sum, taken as independent."""
        return _Spread(self.mean + other.mean, torch.hypot(self.deviation, other.deviation))

    def rectified(self) -> _Spread:
        """Return the spread of the positive part, by the moments of a normal distribution cut at 0."""
        mean, deviation = self.mean.double(), self.deviation.double().clamp_min(1e-9)
        at = mean / deviation
        below, density = torch.special.ndtr(at), torch.exp(-at * at / 2) / math.sqrt(2 * math.pi)
        first = mean * below + deviation * density
        second = (mean * mean + deviation * deviation) * below + mean * deviation * density
        return _Spread(first, (second - first * first).clamp_min(0).sqrt())

    def top(self) -> float:
        """Return a value that hardly any channel exceeds."""
        return max(1e-3, float((self.mean + _SPREADS * self.deviation).max()))


class Tops(NamedTuple):
    """Upper ends of the ranges of the activations of a :class:`StarNet`; all begin at 0."""

    stem: float
    at2: list[tuple[float, float]]
    """Of each residual block at stride 2: between its convolutions, and after it."""
    down4: float
    at4: list[tuple[float, float]]
    down8: float
    at8: list[tuple[float, float]]
    sum4: float
    """Where stride 8 joins stride 4."""
    up4: float
    sum2: float
    """Where stride 4 joins stride 2."""
    up2: float


def activation_tops(net: StarNet) -> Tops:
    """Return the ranges of the activations of ``net``, whose batch normalisation must not be folded yet."""
    with torch.inference_mode():
        x2, at2 = _through(net.at2, stem := _after(net.stem))
        x4, at4 = _through(net.at4, down4 := _after(net.down4))
        _, at8 = _through(net.at8, down8 := _after(net.down8))
        return Tops(
            stem.top(),
            at2,
            down4.top(),
            at4,
            down8.top(),
            at8,
            _after(net.to4).plus(x4.rectified()).top(),
            _after(net.up4).top(),
            _after(net.to2).plus(x2.rectified()).top(),
            _after(net.up2).top(),
        )


def _after(layer: nn.Sequential) -> _Spread:
    """Return what comes out of a convolution with batch normalisation."""
    norm = layer[1]
    assert isinstance(norm, nn.BatchNorm2d)
    return _Spread(norm.bias, norm.weight.abs())


def _through(blocks: Iterable[nn.Module], x: _Spread) -> tuple[_Spread, list[tuple[float, float]]]:
    """Return what comes out of residual ``blocks`` that ``x`` goes into, before the activation, and their tops."""
    tops = []
    for block in blocks:
        assert isinstance(block, Residual)
        x = _after(block.second).plus(x.rectified())
        tops.append((_after(block.first).top(), x.top()))
    return x, tops
