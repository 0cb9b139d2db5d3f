"""One slide to analyse, and what is known of it when its tiles are done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import shapely

from pathopipe.config import Config
from pathopipe.engine.worker import PixelSource
from pathopipe.geometry import Frame
from pathopipe.layout import SlideFolder
from pathopipe.models.arithmetic import Arithmetic
from pathopipe.models.base import ModelCard
from pathopipe.quarantine import Failed
from pathopipe.record import Clock, Fingerprints
from pathopipe.slide.patchy import PatchySlide
from pathopipe.store.instances import InstanceStore
from pathopipe.tiling.grid import Tile
from pathopipe.tiling.tissue import Tissue


@dataclass(frozen=True, slots=True)
class Job:
    """One slide to analyse, and how."""

    id: str
    """Name of its folder."""
    slide: str
    """An absolute path, or a URL."""
    folder: SlideFolder
    config: Config
    card: ModelCard
    """Of the model that ``config.model`` names."""
    batch_tiles: int
    """Tiles per task and forward pass."""
    arithmetics: tuple[Arithmetic, ...] = ()
    """What all workers can compute in, the fastest first; none is what this machine can."""


@dataclass(frozen=True)
class Begun:
    """A slide whose tiles are done, and what its finish needs of them."""

    job: Job
    clock: Clock
    prints: Fingerprints
    slide: PatchySlide
    """Open until the finish."""
    frame: Frame
    source: PixelSource
    tissue: Tissue
    unseen: shapely.Geometry
    """Where the slide could not be looked at for tissue, in level-0 pixels."""
    tiles: Sequence[Tile]
    instances: InstanceStore
    failed: Failed
    workers: int
    """How many worked on the tiles."""
