"""The network in 8-bit integers, for processors that multiply them four times as fast as floats.

Every activation is a byte, from 0 to the end of its range (see models/ranges.py); every weight is a signed byte with a
scale an output channel. Sums are exact integers of 32 bits, so a tile's result depends neither on its size nor on how
the sums are ordered. The bytes of an RGB image are its quantised values as they are: nothing is lost on the way in.

The convolutions are oneDNN's, as torch offers them: with bias, shortcut, activation and rounding in one pass.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from pathopipe.models.network import MEAN, SPREAD, SURFACES, Residual, StarNet, folded
from pathopipe.models.ranges import activation_tops

_HIGHEST = 127
"""Weights are from -127 to 127: -128 has no opposite."""
_USUAL_PX = 1024
"""Sides of what convolutions get are of about this size."""


class _Levels(NamedTuple):
    """What the bytes of an activation mean: (byte - zero) × step."""

    step: float
    zero: int = 0

    @classmethod
    def up_to(cls, top: float) -> _Levels:
        """Return the levels of a range that begins at 0."""
        return cls(top / 255)


class Int8Net:
    """A :class:`StarNet` for inference on a CPU; features are bytes, what is read from them is float32."""

    def __init__(self, net: StarNet) -> None:
        """Take over ``net``, whose batch normalisation is not folded yet; it is folded in place."""
        tops = activation_tops(net)
        folded(net)
        rgb, stem, down4, down8, sum4, up4, sum2, up2 = (
            _Levels(1 / SPREAD, round(MEAN)),
            *map(_Levels.up_to, (tops.stem, tops.down4, tops.down8, tops.sum4, tops.up4, tops.sum2, tops.up2)),
        )
        self._stem = _Conv(net.stem[0], rgb, stem)
        self._at2, x2 = _blocks(net.at2, stem, tops.at2)
        self._down4 = _Conv(net.down4[0], x2, down4)
        self._at4, x4 = _blocks(net.at4, down4, tops.at4)
        self._down8 = _Conv(net.down8[0], x4, down8)
        self._at8, x8 = _blocks(net.at8, down8, tops.at8)
        self._to4 = _Joint(net.to4[0], x8, sum4, x4)
        self._up4 = _Conv(net.up4[0], sum4, up4)
        self._to2 = _Joint(net.to2[0], up4, sum2, x2)
        self._up2 = _Conv(net.up2[0], sum2, up2)
        self._surfaces = _Conv(net.out, up2, None, outputs=SURFACES)
        self._levels = up2
        self._net = net

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        return torch.device("cpu")

    def features_of(self, rgb: Tensor) -> Tensor:
        """Return (n, head, h / 2, w / 2) uint8 of ``rgb`` (n, 3, h, w) uint8 in channels_last."""
        x2 = _through(self._at2, self._stem(rgb))
        x4 = _through(self._at4, self._down4(x2))
        x8 = _through(self._at8, self._down8(x4))
        y4 = self._up4(self._to4(x8, x4))
        return self._up2(self._to2(y4, x2))

    def surfaces(self, features: Tensor) -> Tensor:
        """Return what :meth:`StarNet.surfaces` does."""
        maps = self._surfaces(features)
        if self._net.classes is None:
            return maps
        return torch.cat([maps, self._net.classes(features.float().mul_(self._levels.step))], dim=1)

    def distances(self, features: Tensor) -> Tensor:
        """Return (n, rays): the distances at pixels with ``features`` (n, head) uint8."""
        return self._net.distances(features.float().mul_(self._levels.step))


class _Conv:
    """One convolution from bytes to rectified bytes, or to floats as they are."""

    def __init__(
        self,
        conv: nn.Module,
        x: _Levels,
        out: _Levels | None,
        *,
        added: _Levels | None = None,
        outputs: int | None = None,
        copies: int = 1,
    ) -> None:
        """Take ``conv``, or its first ``outputs`` channels, and all of them ``copies`` times.

        ``added`` are the levels of what is summed to it.
        """
        assert isinstance(conv, nn.Conv2d)
        assert conv.bias is not None
        weight = conv.weight.detach()[:outputs].repeat(copies, 1, 1, 1)
        scale = (weight.abs().amax(dim=(1, 2, 3)) / _HIGHEST).clamp_min(1e-12)
        whole = torch.round(weight / scale[:, None, None, None]).to(torch.int8)
        bias = conv.bias.detach()[:outputs].repeat(copies)
        place = (list(conv.stride), list(conv.padding), [1, 1], 1)
        # Weights are laid out for one size of input, and again in every call if another layout suits its size better.
        shape = [1, weight.shape[1], _USUAL_PX, _USUAL_PX]
        packed = torch.ops.onednn.qconv_prepack(whole, scale, x.step, x.zero, *place, shape)
        self._weights = (x.step, x.zero, packed, scale, torch.zeros(len(scale), dtype=torch.int32))
        self._rest = (bias, *place)
        self._out = (1.0, 0, torch.float32) if out is None else (out.step, out.zero, torch.uint8)
        self._then = "none" if out is None else "relu"
        self._added = added

    def __call__(self, x: Tensor, added: Tensor | None = None) -> Tensor:
        """Return the convolution of ``x``; it is written over ``added``, if given, which is summed to it."""
        if added is None:
            found: Tensor = torch.ops.onednn.qconv2d_pointwise(
                x, *self._weights, *self._rest, *self._out, self._then, [], None
            )
            return found
        assert self._added is not None
        summed: Tensor = torch.ops.onednn.qconv2d_pointwise.binary(
            x, *self._weights, added, *self._rest, *self._out, *self._added, "sum", 1.0, self._then, [], None
        )
        return summed


class _Joint:
    """Where a coarser level joins a finer one: a 1 × 1 convolution, doubled in size, and summed to it.

    As in StarNet, but the convolution comes after the doubling, so that the sum is part of it. Only rows are doubled in
    memory: that a pixel is seen twice side by side is two copies of each output, which in channels_last lie where the
    finer level has its two pixels. The same numbers in less time (docs/adr/0011).
    """

    def __init__(self, conv: nn.Module, x: _Levels, out: _Levels, added: _Levels) -> None:
        self._conv = _Conv(conv, x, out, added=added, copies=2)

    def __call__(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """Return ``fine`` (n, c, 2 h, 2 w) with ``coarse`` (n, k, h, w) in it; it is written over ``fine``."""
        n, channels, height, width = fine.shape
        rows = coarse.permute(0, 2, 3, 1).repeat_interleave(2, dim=1).permute(0, 3, 1, 2)
        pairs = fine.permute(0, 2, 3, 1).reshape(n, height, width // 2, 2 * channels).permute(0, 3, 1, 2)
        joined = self._conv(rows, pairs).permute(0, 2, 3, 1)
        return joined.reshape(n, height, width, channels).permute(0, 3, 1, 2)


_Blocks = list[tuple[_Conv, _Conv]]


def _blocks(blocks: nn.Sequential, x: _Levels, tops: list[tuple[float, float]]) -> tuple[_Blocks, _Levels]:
    """Return residual blocks that ``x`` goes into, and the levels of what comes out."""
    found = []
    for block, (between, after) in zip(blocks, tops, strict=True):
        assert isinstance(block, Residual)
        inner, out = _Levels.up_to(between), _Levels.up_to(after)
        found.append((_Conv(block.first[0], x, inner), _Conv(block.second[0], inner, out, added=x)))
        x = out
    return found, x


def _through(blocks: _Blocks, x: Tensor) -> Tensor:
    for first, second in blocks:
        x = second(first(x), x)
    return x
