"""Where the pieces of tissue lie on the glass."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pathopipe.synth.lattice import NOISE_LIMIT, Axis, Floats, Lattice
from pathopipe.synth.spec import SynthSpec

PIECE_MM = 2.6
"""Pieces are about this wide."""
FINEST_UM = 14.0
"""The outline is ragged down to this wavelength."""

ROUGHNESS = 0.16
"""Height of the outline's waves relative to their length."""


@dataclass(frozen=True)
class Piece:
    """A superellipse; lengths in µm, angle in radians."""

    x: float
    y: float
    radius_x: float
    radius_y: float
    angle: float


@dataclass(frozen=True)
class Layout:
    """The pieces of one slide."""

    seed: int
    pieces: tuple[Piece, ...]
    radius: float
    """Typical radius of a piece in µm; scales the outline's raggedness."""
    threshold: float
    """Where ``height`` is above it, there is tissue."""

    def height(self, x: Axis, y: Axis) -> Floats:
        """Return a field on the grid of ``x`` by ``y`` that falls from the pieces' middles outwards, about 1 a µm."""
        field = np.full((len(y), len(x)), -np.inf, np.float32)
        for piece in self.pieces:
            if self._out_of_reach(piece, x, y):
                continue
            dx, dy = (x - piece.x).astype(np.float32)[None, :], (y - piece.y).astype(np.float32)[:, None]
            cos, sin = np.float32(np.cos(piece.angle)), np.float32(np.sin(piece.angle))
            along = np.abs(dx * cos + dy * sin) / np.float32(piece.radius_x)
            across = np.abs(dy * cos - dx * sin) / np.float32(piece.radius_y)
            norm = np.cbrt(along * along * along + across * across * across)
            np.maximum(field, (1 - norm) * np.float32(min(piece.radius_x, piece.radius_y)), out=field)
        if not np.isfinite(field).any():
            return field
        pitch, lattice = self.radius * 0.9, 0
        while pitch >= FINEST_UM:
            field += np.float32(ROUGHNESS * pitch) * Lattice(self.seed, f"outline/{lattice}").noise(x, y, pitch)
            pitch, lattice = pitch / 2.1, lattice + 1
        return field

    def _out_of_reach(self, piece: Piece, x: Axis, y: Axis) -> bool:
        """Return whether no noise, however high, could make ``piece`` tissue on the grid; a large slide has many."""
        dx = max(x[0] - piece.x, piece.x - x[-1], 0.0)
        dy = max(y[0] - piece.y, piece.y - y[-1], 0.0)
        # The cubic norm is at least the largest coordinate, which is at least the distance by the square root of two.
        norm = math.hypot(dx, dy) / math.sqrt(2) / max(piece.radius_x, piece.radius_y)
        # A spline's values stay within its lattice's, and the pitches are a geometric series.
        highest = ROUGHNESS * self.radius * 0.9 / (1 - 1 / 2.1) * NOISE_LIMIT
        return (1 - norm) * min(piece.radius_x, piece.radius_y) + highest < self.threshold

    def depth(self, x: Axis, y: Axis) -> Floats:
        """Return about how far in µm each point lies inside the tissue; negative on glass."""
        return self.height(x, y) - np.float32(self.threshold)


@lru_cache(maxsize=8)
def layout_of(spec: SynthSpec) -> Layout:
    """Return where the tissue of ``spec`` lies; it covers ``spec.tissue_fraction`` to about one per cent."""
    width, height = spec.width * spec.mpp, spec.height * spec.mpp
    columns = int(np.clip(round(width / 1000 / PIECE_MM), 1, 8))
    rows = int(np.clip(round(height / 1000 / PIECE_MM), 1, 8))
    random = np.random.Generator(np.random.Philox(key=[spec.seed, 1]))
    box_w, box_h = width / columns, height / rows
    pieces = []
    for row in range(rows):
        for column in range(columns):
            shift_x, shift_y = random.uniform(-0.12, 0.12, 2)
            size_x, size_y = random.uniform(0.72, 1.05, 2)
            x, y = (column + 0.5 + shift_x) * box_w, (row + 0.5 + shift_y) * box_h
            pieces.append(Piece(x, y, size_x * box_w / 2, size_y * box_h / 2, random.uniform(-0.35, 0.35)))
    typical = min(box_w, box_h) / 2
    free = Layout(spec.seed, tuple(pieces), typical, -math.inf)
    if spec.tissue_fraction == 1:
        return Layout(spec.seed, tuple(pieces), typical, -1e9)
    x = (np.arange(384, dtype=np.float64) + 0.5) * (width / 384)
    y = (np.arange(384, dtype=np.float64) + 0.5) * (height / 384)
    threshold = float(np.quantile(free.height(x, y), 1 - spec.tissue_fraction))
    return Layout(spec.seed, tuple(pieces), typical, threshold)
