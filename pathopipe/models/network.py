"""The star-convex network: an image in, probability, foreground, boundary, distances and classes out, at half size.

The outputs are those of StarDist (Schmidt et al. 2018, "Cell detection with star-convex polygons") with a foreground
and a boundary map beside them; the network is a small residual pyramid of plain 3 × 3 convolutions, written so that
its receptive field is small and known: what it says about a pixel depends on no pixel further than :func:`reach_px`,
and tiles that overlap by that much agree exactly. So there are no global statistics (no group or instance
normalisation) and no strides above 8. Classes are read from the last layer by 1 × 1 convolutions, which widen
nothing.
"""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from pathopipe.spec import Spec

STRIDE = 8
"""The coarsest stride: sizes and origins of tiles are multiples of it."""
OUTPUT_STRIDE = 2
"""Working pixels per pixel of the output maps."""
SURFACES = 2
"""Maps of every pixel that cells are found in, the first ones: probability and foreground. The third, the boundary, is
there to be learned from, and nobody asks for it afterwards."""
MOST_CLASSES = 250
"""Classes are numbered in a byte, and training needs numbers besides."""
MEAN, SPREAD = 170.0, 60.0
"""Grey levels that the network's input is centred on, and that are 1 in it."""


Width = Annotated[int, Field(ge=1, le=4096)]
Depth = Annotated[int, Field(ge=0, le=64)]


class NetSpec(Spec):
    """The network's size; stored in the model file."""

    widths: tuple[Width, Width, Width] = (16, 32, 96)
    """Channels at strides 2, 4 and 8."""
    blocks: tuple[Depth, Depth, Depth] = (1, 1, 2)
    """Residual blocks at strides 2, 4 and 8."""
    head: int = Field(32, ge=8, le=4096)
    """Channels of the last layer before the outputs."""
    rays: int = Field(32, ge=8, le=128)
    """Radial distances per pixel, counter-clockwise in (x, y) from the x axis."""
    classes: int = Field(1, ge=1, le=MOST_CLASSES)
    """Classes that nuclei are told apart in; with one there is no class head."""

    @property
    def outputs(self) -> int:
        """Output channels: probability, foreground and boundary (logits), the distances, the classes (logits)."""
        return 3 + self.rays + self.class_outputs

    @property
    def class_outputs(self) -> int:
        """How many of them, the last ones, are logits of classes: none where there is one class."""
        return self.classes if self.classes > 1 else 0


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(outputs))


class Residual(nn.Module):
    """Two 3 × 3 convolutions around a shortcut."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _conv(width, width)
        self.second = _conv(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``x`` refined, of the same shape."""
        y = functional.relu(self.first(x), inplace=True)
        return functional.relu(self.second(y).add_(x), inplace=True)


class StarNet(nn.Module):
    """The network. Input (n, 3, h, w) as :func:`normalised`; output (n, outputs, h / 2, w / 2)."""

    def __init__(self, spec: NetSpec) -> None:
        super().__init__()
        w2, w4, w8 = spec.widths
        b2, b4, b8 = spec.blocks
        self.spec = spec
        self.stem = _conv(3, w2, stride=2)
        self.at2 = nn.Sequential(*(Residual(w2) for _ in range(b2)))
        self.down4 = _conv(w2, w4, stride=2)
        self.at4 = nn.Sequential(*(Residual(w4) for _ in range(b4)))
        self.down8 = _conv(w4, w8, stride=2)
        self.at8 = nn.Sequential(*(Residual(w8) for _ in range(b8)))
        self.to4 = _conv(w8, w4, kernel=1)
        self.up4 = _conv(w4, w4)
        self.to2 = _conv(w4, w2, kernel=1)
        self.up2 = _conv(w2, spec.head)
        self.out = nn.Conv2d(spec.head, 3 + spec.rays, 1)
        self.classes = _class_head(spec) if spec.classes > 1 else None
        assert self.out.bias is not None
        # Nuclei cover little: starting at a probability of 0.1 saves the first hundred iterations.
        nn.init.constant_(self.out.bias[:3], -2.2)
        nn.init.constant_(self.out.bias[3:], 2.0)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits of probability, foreground, boundary; distances in output pixels (may be < 0); class logits."""
        features = self.features(x)
        out: Tensor = self.out(features)
        return out if self.classes is None else torch.cat([out, self.classes(features)], dim=1)

    def features(self, x: Tensor) -> Tensor:
        """Return (n, head, h / 2, w / 2): what all outputs are read from, pixel by pixel."""
        relu = functional.relu
        x2 = self.at2(relu(self.stem(x), inplace=True))
        x4 = self.at4(relu(self.down4(x2), inplace=True))
        x8 = self.at8(relu(self.down8(x4), inplace=True))
        y4 = relu(self.up4(relu(_twice(self.to4(x8)).add_(x4), inplace=True)), inplace=True)
        return relu(self.up2(relu(_twice(self.to2(y4)).add_(x2), inplace=True)), inplace=True)

    @property
    def device(self) -> torch.device:
        """Where its weights are."""
        return self.out.weight.device

    def features_of(self, rgb: Tensor) -> Tensor:
        """Return the :meth:`features` of ``rgb`` (n, 3, h, w) uint8."""
        return self.features(normalised(rgb))

    def surfaces(self, features: Tensor) -> Tensor:
        """Return the outputs of :meth:`forward` that cells are found in (n, SURFACES + class outputs, h / 2, w / 2)."""
        assert self.out.bias is not None
        maps = functional.conv2d(features, self.out.weight[:SURFACES], self.out.bias[:SURFACES])
        return maps if self.classes is None else torch.cat([maps, self.classes(features)], dim=1)

    def distances(self, features: Tensor) -> Tensor:
        """Return (n, rays): the distances at pixels with ``features`` (n, head)."""
        assert self.out.bias is not None
        return functional.linear(features, self.out.weight[3:].flatten(1), self.out.bias[3:])


def _class_head(spec: NetSpec) -> nn.Sequential:
    """Return the class head: a layer of its own, since what finds nuclei need not tell their classes apart."""
    return nn.Sequential(
        nn.Conv2d(spec.head, spec.head, 1), nn.ReLU(inplace=True), nn.Conv2d(spec.head, spec.classes, 1)
    )


def _twice(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode="nearest")


def normalised(rgb: Tensor) -> Tensor:
    """Return uint8 RGB (n, 3, h, w) as the network's float input."""
    return rgb.float().sub_(MEAN).div_(SPREAD)


def folded(net: StarNet) -> StarNet:
    """Return ``net`` in place, for inference: batch normalisation folded into the convolutions before it."""
    net.eval()
    for module in net.modules():
        if isinstance(module, nn.Sequential) and len(module) == 2 and isinstance(module[1], nn.BatchNorm2d):
            conv = module[0]
            assert isinstance(conv, nn.Conv2d)
            module[0] = fuse_conv_bn_eval(conv, module[1])
            module[1] = nn.Identity()
    return net


def reach_px(spec: NetSpec) -> int:
    """Return how many working pixels away from an output pixel's own 2 × 2 pixels an input can still matter.

    The span of input indices behind an output index is followed backwards through the layers, for every position
    within the coarsest stride, since up-sampling makes the span depend on it.
    """
    reaches = []
    for index in range(STRIDE // OUTPUT_STRIDE):
        low, high = _span(spec, index)
        reaches.append(max(index * OUTPUT_STRIDE - low, high - (index * OUTPUT_STRIDE + OUTPUT_STRIDE - 1)))
    return max(reaches)


def _span(spec: NetSpec, index: int) -> tuple[int, int]:
    """Return the first and last input index that output ``index`` depends on."""
    b2, b4, b8 = spec.blocks
    low, high = index - 1, index + 1  # up2
    low4, high4 = low // 2 - 1, high // 2 + 1  # nearest up-sampling, then up4
    low8, high8 = low4 // 2 - 2 * b8, high4 // 2 + 2 * b8
    # Each stride's blocks see the span that is asked of them directly and through the stride below: the wider wins.
    low4, high4 = min(low4, 2 * low8 - 1) - 2 * b4, max(high4, 2 * high8 + 1) + 2 * b4
    low2, high2 = min(low, 2 * low4 - 1) - 2 * b2, max(high, 2 * high4 + 1) + 2 * b2
    return 2 * low2 - 1, 2 * high2 + 1
