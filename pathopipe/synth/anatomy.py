"""What kind of tissue is where: the maps that everything else follows, at about 1 µm a pixel."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathopipe.geometry import Box
from pathopipe.synth.lattice import Axis, Floats, Lattice, ramp
from pathopipe.synth.layout import layout_of
from pathopipe.synth.spec import SynthSpec

CELL_UM = 12.0
"""Pitch of the cells of a solid epithelium; their nuclei and their borders share one lattice."""
CELL_JITTER = 0.55
GLAND_UM = 108.0
"""Pitch of glands."""
RING_UM = 7.0
"""Height above the basement membrane at which a gland's nuclei stand."""
MARGIN_UM = 34.0
"""Context around a block: what decides about the nuclei that reach into it lies within (see nuclei.py)."""

Waves = tuple[Floats, Floats]
"""Two fields that warp straight lines and circles."""


def coarse_px(spec: SynthSpec) -> int:
    """Return the side of a map pixel in level-0 pixels: the power of two nearest to 1 µm."""
    return int(2 ** np.clip(round(math.log2(1 / spec.mpp)), 0, 3))


@dataclass(frozen=True)
class Window:
    """A part of the plane of map pixels; pixel (i, j) covers ``step_um`` squared from (i, j) · ``step_um``."""

    i0: int
    j0: int
    x: Axis
    """Middles of the columns in µm."""
    y: Axis
    """Middles of the rows in µm."""
    step_um: float

    @classmethod
    def around(cls, block: Box, spec: SynthSpec) -> Window:
        """Return the window of ``block`` (level-0 pixels) and its context."""
        step = coarse_px(spec)
        step_um = step * spec.mpp
        margin = math.ceil(MARGIN_UM / step_um)
        i = np.arange(block.x0 // step - margin, block.x1 // step + margin, dtype=np.float64)
        j = np.arange(block.y0 // step - margin, block.y1 // step + margin, dtype=np.float64)
        return cls(int(i[0]), int(j[0]), (i + 0.5) * step_um, (j + 0.5) * step_um, step_um)

    def sample(self, field: NDArray[np.floating], x: Axis, y: Axis) -> NDArray[np.floating]:
        """Return ``field`` of this window at points in µm, nearest pixel."""
        i = np.clip((x / self.step_um).astype(np.int64) - self.i0, 0, len(self.x) - 1)
        j = np.clip((y / self.step_um).astype(np.int64) - self.j0, 0, len(self.y) - 1)
        return field[j, i]


@dataclass(frozen=True)
class Anatomy:
    """Maps on a window, each (len(y), len(x)); weights are 0 to 1."""

    tissue: Floats
    """1 in the tissue, 0 on glass, in tears and in vessels."""
    epithelium: Floats
    """Solid epithelium."""
    gland: Floats
    """The epithelial ring of glands."""
    lumen: Floats
    """Their lumens."""
    fat: Floats
    """Inside fat cells."""
    rim: Floats
    """Membranes: of fat cells and between the cells of a solid epithelium."""
    immune: Floats
    """Likelihood of lymphocytes."""
    basal: Floats
    """Height in µm above the basement membrane, in glands."""
    fibre_u: NDArray[np.float64]
    """Coordinate in µm across the fibres."""
    fibre_v: NDArray[np.float64]
    """Coordinate in µm along the fibres."""
    loose: Floats
    """Contrast of the fibres, 0.3 (dense collagen) to 1.1 (loose tissue with clefts)."""
    tone: Floats
    """Low-frequency variation of the stain, about -1 to 1."""
    cell_tone: Floats
    """A value in [0, 1) of each epithelial cell's own."""

    @property
    def stroma(self) -> Floats:
        """Weight of connective tissue: what is nothing else."""
        other = np.maximum(np.maximum(self.epithelium, self.gland), np.maximum(self.lumen, self.fat))
        return np.asarray(self.tissue * (1 - other), np.float32)


def anatomy(window: Window, spec: SynthSpec) -> Anatomy | None:
    """Return the maps of ``window``, or None where there is only glass."""
    x, y = window.x, window.y
    depth = layout_of(spec).depth(x, y)
    if depth.max() <= 0:
        return None

    def field(name: str, pitch: float, octaves: int = 1, gain: float = 0.5) -> Floats:
        return Lattice(spec.seed, name).fractal(x, y, pitch, octaves, gain)

    # On small slides compartments are smaller, so that there is more than one of them.
    scale = float(np.clip(min(spec.width, spec.height) * spec.mpp / 1600, 0.35, 1.0))
    kind = field("kind", 620 * scale, 4, 0.45)
    style = field("style", 900 * scale, 2)
    waves = (field("wave-x", 45, 2), field("wave-y", 45, 2))
    tears = field("tears", 210 * scale, 3, 0.55)
    tissue = ramp(depth, 0, 2.5) * ramp(tears, 2.05, 1.95)

    nest = ramp(kind, 0.295, 0.31) * tissue
    glandular = ramp(style, -0.004, 0.004)
    gland, lumen, basal = _glands(window, spec, waves, nest * glandular)
    epithelium = nest * (1 - glandular)
    borders, cell_tone = _cell_borders(window, spec, waves, epithelium)
    fat, fat_rim = _fat(window, spec, waves, tissue * ramp(kind, -0.8, -1.1) * ramp(style, 0.3, 0.6))

    drift_u = 150 * field("drift-u", 520) + 26 * field("drift-u2", 120, 2) + 4 * waves[0] + 1.6 * field("crimp", 14)
    drift_v = 150 * field("drift-v", 520)
    angle = float(Lattice(spec.seed, "fibre-angle").uniform(np.zeros(1, np.int64), np.zeros(1, np.int64))[0]) * math.pi
    cos, sin = math.cos(angle), math.sin(angle)
    across = (x * cos)[None, :] + (y * sin)[:, None]
    along = (y * cos)[:, None] - (x * sin)[None, :]
    patches = field("immune", 170 * scale, 3, 0.6)
    near_nest = ramp(kind, -0.5, 0.2)
    return Anatomy(
        tissue=tissue,
        epithelium=epithelium,
        gland=gland,
        lumen=lumen,
        fat=fat,
        rim=np.maximum(borders, fat_rim),
        immune=ramp(patches + 0.5 * near_nest, 1.3, 2.0),
        basal=basal,
        fibre_u=np.asarray(across + drift_u, np.float64),
        fibre_v=np.asarray(along + drift_v, np.float64),
        loose=np.clip(0.7 + 0.35 * field("loose", 260, 2), 0.3, 1.1),
        tone=field("tone", 300, 3, 0.6) * np.float32(0.5),
        cell_tone=cell_tone,
    )


def _glands(window: Window, spec: SynthSpec, waves: Waves, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Return ring, lumen and height above the basement membrane: rounded cells of a warped Voronoi diagram."""
    nothing = np.zeros_like(weight)
    if weight.max() <= 0:
        return nothing, nothing, nothing - 99
    x = window.x.astype(np.float32)[None, :] + 12 * waves[0]
    y = window.y.astype(np.float32)[:, None] + 12 * waves[1]
    first, second, own = Lattice(spec.seed, "glands").cells(x, y, GLAND_UM, 0.8)
    basal = (second - first) / 2 - (4 + 9 * own) + 2.5 * waves[1]
    inside = ramp(basal, -0.8, 0.8) * (weight > 0.5)
    thick = 16 + 5 * own
    lumen = inside * ramp(basal - thick - 1.5 * waves[0], -0.8, 0.8)
    return inside - lumen, lumen, np.where(weight > 0.5, basal, np.float32(-99))


def _cell_borders(window: Window, spec: SynthSpec, waves: Waves, weight: Floats) -> tuple[Floats, Floats]:
    """Return the borders between the cells of a solid epithelium, and a value of each cell's own."""
    if weight.max() <= 0:
        return np.zeros_like(weight), np.zeros_like(weight)
    x, y = np.broadcast_arrays(window.x.astype(np.float32)[None, :], window.y.astype(np.float32)[:, None])
    first, second, own = Lattice(spec.seed, "cells").cells(x + 1.5 * waves[0], y + 1.5 * waves[1], CELL_UM, CELL_JITTER)
    return ramp(second - first, 1.7, 0.3) * (0.35 + 0.65 * own) * weight, own


def _fat(window: Window, spec: SynthSpec, waves: Waves, weight: Floats) -> tuple[Floats, Floats]:
    """Return the inside of fat cells and their membranes."""
    if weight.max() <= 0:
        return np.zeros_like(weight), np.zeros_like(weight)
    x = window.x.astype(np.float32)[None, :] + 6 * waves[0]
    y = window.y.astype(np.float32)[:, None] + 6 * waves[1]
    first, second, _ = Lattice(spec.seed, "fat").cells(x, y, 62.0, 0.75)
    # Where the weight falls the cells get smaller, so that fat ends in droplets and not in a haze.
    edge = (second - first) / 2 - 24 * (1 - weight)
    return ramp(edge, 1.2, 2.4), ramp(edge, 2.4, 1.2) * ramp(edge, -1.2, 0.4)
