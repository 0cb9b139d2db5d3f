"""The star-convex network as a Predictor: tiles in, instances out."""

from __future__ import annotations

import logging

import numpy as np
import torch
from numpy.typing import NDArray

from pathopipe.instances import Instances
from pathopipe.models.arithmetic import offered
from pathopipe.models.base import ModelCard, ModelSpec
from pathopipe.models.card import ModelFile
from pathopipe.models.classify import CLASS_PROBABILITY, classified
from pathopipe.models.inference import Net, TileOutput, infer
from pathopipe.models.int8 import Int8Net
from pathopipe.models.net_file import load_net
from pathopipe.models.network import OUTPUT_STRIDE, StarNet, folded
from pathopipe.models.postprocess import decode
from pathopipe.stopwatch import timed

_LOG = logging.getLogger(__name__)


class StarPredictor:
    """A loaded star-convex network on one device.

    On a CPU tiles are predicted one at a time on one thread, on a GPU in batches padded to one size: so a tile's result
    depends neither on its neighbours in the batch nor on the number of workers.
    """

    def __init__(self, file: ModelFile, spec: ModelSpec) -> None:
        self._card = file.card
        low = spec.min_score
        self._decode = file.decode if low is None else file.decode.model_copy(update={"threshold": max(low, 1e-3)})
        arithmetic = offered(spec)[0]
        self.device = torch.device("cuda" if arithmetic.startswith("cuda") else "cpu")
        self._bf16 = arithmetic.endswith("bf16")
        self._batch = spec.batch_tiles
        torch.set_num_threads(1)  # a worker has one core
        net = load_net(file)
        self._net: Net = Int8Net(net) if arithmetic == "int8" else placed(net, self.device)

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        return self._card

    def predict(self, tiles: NDArray[np.uint8]) -> list[Instances]:
        """Find the instances of every tile; see :class:`pathopipe.models.base.Predictor`.

        Raises
        ------
        ValueError
            If the tiles are not (n, h, w, 3) uint8 with sides in multiples of the stride.
        """
        stride = self._card.stride_px
        if tiles.ndim != 4 or tiles.shape[3] != 3 or tiles.dtype != np.uint8:
            raise ValueError(f"tiles must be (n, h, w, 3) uint8, not {tiles.shape} {tiles.dtype}")
        if tiles.shape[1] % stride or tiles.shape[2] % stride:
            raise ValueError(f"tiles of {tiles.shape[2]} × {tiles.shape[1]} px: sides must be multiples of {stride}")
        if self.device.type == "cpu":
            return [
                self._instances(output) for tile in tiles for output in infer(self._net, tile[np.newaxis], self._bf16)
            ]
        found: list[Instances] = []
        while len(found) < len(tiles):
            try:
                outputs = self._batch_of(tiles[len(found) : len(found) + self._batch])
                found += [self._instances(output) for output in outputs]
                continue
            except torch.OutOfMemoryError:
                if self._batch == 1:
                    raise
            self._halve()  # out here, where the error does not hold on to what filled the memory
        return found

    def _halve(self) -> None:
        """Take batches of half the size from now on: what did not fit once would not the next time either."""
        self._batch //= 2
        torch.cuda.empty_cache()
        _LOG.warning("out of memory on the GPU: going on with batches of %d tiles", self._batch)

    def _batch_of(self, tiles: NDArray[np.uint8]) -> list[TileOutput]:
        """Return what the network says about ``tiles``, at most a batch; it always runs on a whole one."""
        count = len(tiles)
        if count < self._batch:
            tiles = np.concatenate([tiles, np.zeros((self._batch - count, *tiles.shape[1:]), np.uint8)])
        return infer(self._net, tiles, self._bf16)[:count]

    def _instances(self, output: TileOutput) -> Instances:
        longest = self._card.max_diameter_um / self._card.mpp
        probability, foreground, *classes = output.maps
        with timed("post"):
            found = decode(probability, foreground, output.distances, self._decode, OUTPUT_STRIDE, longest)
            if not classes:
                return Instances(found.outlines, found.score, np.zeros(len(found.score), np.uint8), self._card.classes)
            class_id, class_probability = classified(np.stack(classes), found.regions, found.region)
        measured = {CLASS_PROBABILITY: class_probability}
        return Instances(found.outlines, found.score, class_id, self._card.classes, measured)


def placed(net: StarNet, device: torch.device) -> StarNet:
    """Return ``net`` on ``device``, as it runs fastest there; its batch normalisation is folded in place."""
    moved: StarNet = folded(net).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return moved
