"""The network on tiles: maps of every pixel, distances only where somebody asks.

Distances are most of the network's output and are needed at a few hundred peaks a tile. So the last layer is applied to
whole tiles for the other maps, and to single pixels for the distances.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pathopipe.models.int8 import Int8Net
from pathopipe.models.network import SURFACES, StarNet
from pathopipe.models.postprocess import Distances

Net = StarNet | Int8Net


class TileOutput(NamedTuple):
    """What the network says about one tile."""

    maps: NDArray[np.float32]
    """(2 + classes, h / 2, w / 2): probability and foreground, then the classes' probabilities where there are
    several."""
    distances: Distances
    """Flat positions of output pixels to (n, rays) distances in output pixels."""


def infer(net: Net, tiles: NDArray[np.uint8], bf16: bool) -> list[TileOutput]:
    """Return what ``net`` (its normalisation folded, in channels_last, on its device) says about every tile.

    Parameters
    ----------
    net : StarNet or Int8Net
    tiles : (n, h, w, 3) uint8
        RGB at the working resolution; the sides are multiples of the network's stride.
    bf16 : bool
        Whether the convolutions of a StarNet run in bfloat16.
    """
    with torch.inference_mode(), torch.autocast(net.device.type, torch.bfloat16, enabled=bf16):
        # permute, not a copy: the array's (h, w, c) order is what channels_last wants
        pixels = _on(net.device, tiles).permute(0, 3, 1, 2)
        features = net.features_of(pixels)
        maps = net.surfaces(features).float()
        maps[:, :SURFACES].sigmoid_()
        if maps.shape[1] > SURFACES:
            maps[:, SURFACES:] = maps[:, SURFACES:].softmax(dim=1)
        arrays = maps.contiguous().cpu().numpy()
    return [TileOutput(array, _distances(net, each, bf16)) for array, each in zip(arrays, features, strict=True)]


def _on(device: torch.device, tiles: NDArray[np.uint8]) -> Tensor:
    """Return ``tiles`` as bytes on ``device``; it makes floats of them itself."""
    if not tiles.flags.writeable:  # torch wants memory that it could write to
        tiles = tiles.copy()
    here = torch.from_numpy(np.ascontiguousarray(tiles))
    # From pinned memory a GPU fetches them by itself. torch keeps such memory for the next tile.
    return here.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else here


def _distances(net: Net, features: Tensor, bf16: bool) -> Distances:
    """Return how to ask for the distances in the tile that has ``features`` (channels, h, w)."""

    def at(positions: NDArray[np.int64]) -> NDArray[np.float32]:
        with torch.inference_mode(), torch.autocast(features.device.type, torch.bfloat16, enabled=bf16):
            rows = features.permute(1, 2, 0).reshape(-1, len(features))
            found: NDArray[np.float32] = (
                net.distances(rows[torch.from_numpy(positions).to(features.device)]).float().cpu().numpy()
            )
            return found

    return at
