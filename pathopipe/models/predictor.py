"""The star-convex network as a Predictor: tiles in, instances out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pathopipe.instances import Instances
from pathopipe.models.base import ModelCard, ModelSpec
from pathopipe.models.card import ModelFile
from pathopipe.models.classify import CLASS_PROBABILITY, classified
from pathopipe.models.device import visible_gpus
from pathopipe.models.net_file import load_net
from pathopipe.models.network import OUTPUT_STRIDE, folded, normalised
from pathopipe.models.postprocess import decode

_GPU_BATCH = 8


class StarPredictor:
    """A loaded star-convex network on one device.

    On a CPU tiles are predicted one at a time on one thread, on a GPU in batches padded to one size: so a tile's result
    depends neither on its neighbours in the batch nor on the number of workers.
    """

    def __init__(self, file: ModelFile, spec: ModelSpec) -> None:
        self._card = file.card
        low = spec.min_score
        self._decode = file.decode if low is None else file.decode.model_copy(update={"threshold": max(low, 1e-3)})
        self.device = torch.device("cuda" if visible_gpus(spec.device) else "cpu")
        self._batch = spec.batch_tiles or _GPU_BATCH
        net = load_net(file)
        self._classes = slice(3 + net.spec.rays, net.spec.outputs)
        self._net = folded(net).to(self.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        if self.device.type == "cpu":
            torch.set_num_threads(1)

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
        size = 1 if self.device.type == "cpu" else self._batch
        return [
            self._instances(maps)
            for start in range(0, len(tiles), size)
            for maps in self.maps(tiles[start : start + size], size)
        ]

    def maps(self, tiles: NDArray[np.uint8], size: int = 1) -> NDArray[np.float32]:
        """Return the network's output (n, outputs, h / 2, w / 2).

        Probability, foreground and boundary, the distances, and where there are several classes their probabilities.
        """
        count = len(tiles)
        if count < size or not tiles.flags.writeable:  # torch wants memory that it could write to
            tiles = np.concatenate([tiles, np.zeros((size - count, *tiles.shape[1:]), np.uint8)])
        with torch.inference_mode(), torch.autocast("cuda", torch.bfloat16, enabled=self.device.type == "cuda"):
            # permute, not a copy: the array's (h, w, c) order is what channels_last wants
            pixels = torch.from_numpy(np.ascontiguousarray(tiles)).to(self.device).permute(0, 3, 1, 2)
            out: Tensor = self._net(normalised(pixels)).float()[:count]
            out[:, :3].sigmoid_()
            if self._classes.start < out.shape[1]:
                out[:, self._classes] = out[:, self._classes].softmax(dim=1)
            return out.contiguous().cpu().numpy()

    def _instances(self, maps: NDArray[np.float32]) -> Instances:
        longest = self._card.max_diameter_um / self._card.mpp
        rays = maps[3 : self._classes.start]
        found = decode(maps[0], maps[1], rays, self._decode, OUTPUT_STRIDE, longest)
        if len(self._card.classes) == 1:
            return Instances(found.outlines, found.score, np.zeros(len(found.score), np.uint8), self._card.classes)
        class_id, probability = classified(maps[self._classes], found.regions, found.region)
        return Instances(found.outlines, found.score, class_id, self._card.classes, {CLASS_PROBABILITY: probability})
