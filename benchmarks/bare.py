"""What the tissue of a slide costs without a pipeline: the model on tiles in memory, and the codec on compressed ones.

Measured on some tiles from all over the slide, and reckoned for all of them by their pixels: the pixels of a slide that
repeats one block are alike. CPU seconds of one thread; freed memory is kept, as in workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import torch
from cost import as_torch_runs_it
from decode import TILE, raw
from numpy.typing import NDArray

from pathopipe.config import load_config
from pathopipe.engine.heap import keep_freed_memory
from pathopipe.geometry import Box
from pathopipe.models.load import load_card, load_predictor, model_file
from pathopipe.models.net_file import load_net
from pathopipe.slide.open import open_slide
from pathopipe.store.tiles import TileStore
from pathopipe.tiling.grid import TileGrid
from pathopipe.tiling.tissue import find_tissue

LOOKED_AT = 24
"""Tiles of a slide that the model is timed on."""
SLOW = 4
"""Those that float32 is timed on, which takes several times longer."""


@dataclass(frozen=True)
class Bare:
    """CPU seconds for the tissue's tiles of one slide, already in memory."""

    tiles: int
    megapixels: float
    """Of the tiles' cores: what is asked for, at the model's resolution."""
    model: float
    """The model as a worker runs it (8 bit where the processor can), to outlines; no halo."""
    halo: float
    """The same with the halo that the run must show it, so that cells at tiles' borders are whole."""
    torch: float
    """The float32 module as PyTorch runs it; no halo, nothing after the network."""
    codec: float
    """Decoding the same pixels, compressed in memory, at the factor that the run decodes them at."""


def bare(path: Path) -> Bare:
    """Measure the slide at ``path``."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    keep_freed_memory()
    config = load_config(model={"device": "cpu"})
    card, predictor = load_card(config.model), load_predictor(config.model)
    module = load_net(model_file(config.model)).eval()
    with open_slide(str(path), config.slide) as slide:
        frame = slide.info.frame(card.mpp)
        reaches = card.halo_px, card.stride_px, card.neighbourhood_px
        grid = TileGrid.cover(frame.width, frame.height, config.grid, *reaches)
        tiles = grid.touching(find_tissue(slide, config.tissue, config.artefacts), frame)
        store = TileStore.open(None, slide, frame, config.store)
        some = evenly([tile.core for tile in tiles], LOOKED_AT)
        few, read = evenly(some, SLOW), evenly([tile.read for tile in tiles], LOOKED_AT)
        pixels = _area(tile.core for tile in tiles)
        model = _seconds(lambda tile: predictor.predict(tile[np.newaxis]), store, some) / _area(some)
        halo = _seconds(lambda tile: predictor.predict(tile[np.newaxis]), store, read) / _area(read)
        plain = _seconds(lambda tile: as_torch_runs_it(module, tile), store, few) / _area(few)
        shrink = max(1, int(card.mpp / slide.info.scale.x + 0.01))
        codec = _codec(path, [_aligned(frame.to_level0(box)) for box in some], shrink) / _area(some)
    return Bare(
        tiles=len(tiles),
        megapixels=pixels / 1e6,
        model=model * pixels,
        halo=halo * _area(tile.read for tile in tiles),
        torch=plain * pixels,
        codec=codec * pixels,
    )


def evenly(boxes: Sequence[Box], count: int) -> list[Box]:
    """Return at most ``count`` of ``boxes``, from all over them."""
    count = min(count, len(boxes))
    return [boxes[(2 * index + 1) * len(boxes) // (2 * count)] for index in range(count)]


def _seconds(work: Callable[[NDArray[np.uint8]], object], store: TileStore, boxes: Sequence[Box]) -> float:
    """Return the CPU seconds of ``work`` on the pixels of ``boxes``, read before it is timed."""
    work(store.read(boxes[0]))  # the first pass sets up kernels and buffers
    total = 0.0
    for box in boxes:
        pixels = store.read(box)
        began = time.process_time()
        work(pixels)
        total += time.process_time() - began
    return total


def _codec(path: Path, boxes: Sequence[Box], shrink: int) -> float:
    """Return the CPU seconds of decoding the compressed tiles in ``boxes`` of level 0 to 1 / ``shrink``."""
    side, total = TILE // shrink, 0.0
    for box in boxes:
        tiles = raw(path, box)
        began = time.process_time()
        for tile in tiles:
            simplejpeg.decode_jpeg(tile, "RGB", min_height=side, min_width=side)
        total += time.process_time() - began
    return total


def _aligned(box: Box) -> Box:
    """Return the compressed tiles' grid next to ``box``, of about its size."""
    return Box(*(round(edge / TILE) * TILE for edge in box))


def _area(boxes: Iterable[Box]) -> float:
    return sum(box.area for box in boxes)
