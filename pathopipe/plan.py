"""``--dry-run``: what a run would do, and about how long it would take."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from pathopipe.models.load import load_predictor
from pathopipe.pipeline import Job, grid_for
from pathopipe.slide.open import open_slide
from pathopipe.store.tiles import TileStore
from pathopipe.tiling.tissue import find_tissue

_STORED_BYTES_PER_PX = 2.0  # zstd leaves about two of the three bytes of an RGB pixel of stained tissue
_WORKER_BASE_BYTES = 600e6  # an idle worker: Python, torch, the model
_WORKER_BYTES_PER_PX = 450.0  # activations of the network and copies of the tile, per pixel of a batch


@dataclass(frozen=True, slots=True)
class Plan:
    """What analysing one slide would take."""

    id: str
    tissue_mm2: float
    tiles: int
    seconds: float
    """Estimate for one worker, from reading and predicting one tile of this slide on this machine."""
    disk_bytes: float
    """Estimate of the tile store's size; 0 where pixels are not kept."""
    worker_bytes: float
    """Estimate of one worker's peak memory."""


def plan_slide(job: Job) -> Plan:
    """Return the plan for one slide: finds its tissue and times one tile, writes nothing.

    Raises
    ------
    PathopipeError
        If the slide cannot be opened or read.
    """
    config = job.config
    with open_slide(job.slide, config.slide, config.limits) as slide:
        frame = slide.info.frame(job.card.mpp)
        grid = grid_for(job, frame)
        tissue = find_tissue(slide, config.tissue, config.artefacts)
        tiles = grid.touching(tissue, frame)
        per_tile = 0.0
        if tiles:
            predictor = load_predictor(config.model)
            store = TileStore.open(None, slide, frame, config.store)
            tile = tiles[len(tiles) // 2]
            predictor.predict(store.read(tile.read)[np.newaxis])  # the first pass sets up kernels and buffers
            began = time.perf_counter()
            predictor.predict(TileStore.open(None, slide, frame, config.store).read(tile.read)[np.newaxis])
            per_tile = time.perf_counter() - began
    tile_px = (grid.core_px + 2 * grid.halo_px) ** 2
    return Plan(
        job.id,
        tissue.area_mm2,
        len(tiles),
        per_tile * len(tiles),
        len(tiles) * grid.core_px**2 * _STORED_BYTES_PER_PX if config.store.keep else 0.0,
        _WORKER_BASE_BYTES + _WORKER_BYTES_PER_PX * tile_px * job.batch_tiles,
    )
