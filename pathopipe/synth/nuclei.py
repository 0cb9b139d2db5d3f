"""Which nuclei there are: candidates on lattices, thinned so that none hides another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from pathopipe.geometry import Outlines
from pathopipe.synth.anatomy import CELL_JITTER, CELL_UM, RING_UM, Anatomy, Window
from pathopipe.synth.lattice import Floats, Lattice
from pathopipe.synth.shapes import DENSE, GRANULAR, PER_STYLE, VERTICES, VESICULAR, bank_of
from pathopipe.synth.spec import SynthSpec

CLASSES = ("Epithelial", "Immune cells", "Stroma")
"""Class names in the order of ``Nuclei.class_id``."""
LONGEST_UM = 10.5
"""No nucleus reaches farther from its middle: the longest semi-axis and the harmonics of its shape. What decides
whether it stays lies within two semi-axes more; the sum is within ``anatomy.MARGIN_UM``."""
OVERLAP_UM = 0.35
"""Neighbours may overlap by this much: they touch, as in real clusters."""


class Kind(NamedTuple):
    """One population of nuclei; lengths in µm."""

    name: str
    pitch: float
    jitter: float
    class_id: int
    long: tuple[float, float]
    """Range of the long semi-axis."""
    short: tuple[float, float]
    """Range of the short semi-axis over the long one."""
    dark: tuple[float, float]
    """Range of the optical density of haematoxylin."""
    styles: tuple[int, ...]
    """Styles of shape, each as likely."""


KINDS = (
    Kind("cells", CELL_UM, CELL_JITTER, 0, (3.6, 5.2), (0.70, 1.0), (1.1, 1.75), (VESICULAR, GRANULAR)),
    Kind("ring", 5.6, 0.5, 0, (4.0, 5.6), (0.45, 0.68), (1.25, 1.85), (VESICULAR, GRANULAR, GRANULAR)),
    Kind("immune", 7.0, 0.6, 1, (2.5, 3.3), (0.82, 1.0), (1.5, 2.0), (DENSE, GRANULAR)),
    Kind("stroma", 15.0, 0.9, 2, (4.2, 8.0), (0.26, 0.50), (1.3, 1.9), (DENSE, GRANULAR)),
)


@dataclass(frozen=True)
class Nuclei:
    """Nuclei as columns of equal length, in drawing order; lengths in level-0 pixels."""

    key: NDArray[np.int64]
    """Which lattice point it grew on: unique on the slide."""
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    long: NDArray[np.float64]
    """Long semi-axis."""
    short: NDArray[np.float64]
    angle: NDArray[np.float64]
    """Of the long axis from the x axis towards the y axis, in radians."""
    shape: NDArray[np.int64]
    """Place in the bank."""
    dark: Floats
    class_id: NDArray[np.uint8]
    rank: Floats
    """In [0, 1): of two that overlap too much the higher stays."""

    def __len__(self) -> int:
        return len(self.key)

    def take(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> Nuclei:
        """Return those chosen by an integer or boolean ``index``, in its order."""
        return Nuclei(**{name: column[index] for name, column in vars(self).items()})

    @classmethod
    def concat(cls, parts: list[Nuclei]) -> Nuclei:
        """Return the nuclei of all ``parts`` in order."""
        return cls(**{name: np.concatenate([vars(part)[name] for part in parts]) for name in vars(parts[0])})

    @classmethod
    def none(cls) -> Nuclei:
        """Return no nuclei."""
        real, whole = np.zeros(0, np.float64), np.zeros(0, np.int64)
        small, single = np.zeros(0, np.uint8), np.zeros(0, np.float32)
        return cls(whole, real, real, real, real, real, whole, single, small, single)

    def vertices(self, seed: int) -> NDArray[np.float64]:
        """Return their outlines (n, VERTICES, 2) in level-0 pixels."""
        unit = bank_of(seed).outlines[self.shape]
        along, across = unit[..., 0] * self.long[:, None], unit[..., 1] * self.short[:, None]
        cos, sin = np.cos(self.angle)[:, None], np.sin(self.angle)[:, None]
        x = self.x[:, None] + along * cos - across * sin
        y = self.y[:, None] + along * sin + across * cos
        return np.stack([x, y], axis=-1)

    def outlines(self, seed: int) -> Outlines:
        """Return :meth:`vertices` as outlines."""
        offsets = np.arange(len(self) + 1, dtype=np.int64) * VERTICES
        return Outlines(self.vertices(seed).reshape(-1, 2).astype(np.float32), offsets)


def nuclei_in(window: Window, maps: Anatomy, spec: SynthSpec) -> Nuclei:
    """Return the nuclei of the window in drawing order; those within ``LONGEST_UM`` of its middle part are final.

    A nucleus whose outline would leave the slide is not drawn, so every one in the truth is whole.
    """
    grown = Nuclei.concat([_candidates(number, kind, window, maps, spec) for number, kind in enumerate(KINDS)])
    grown = grown.take(_thinned(grown, OVERLAP_UM / spec.mpp))
    corners = grown.vertices(spec.seed)
    low, high = corners.min(axis=1), corners.max(axis=1)
    inside = (low >= 0).all(axis=1) & (high[:, 0] <= spec.width) & (high[:, 1] <= spec.height)
    grown = grown.take(inside)
    return grown.take(np.lexsort((grown.key, grown.rank)))


def _candidates(number: int, kind: Kind, window: Window, maps: Anatomy, spec: SynthSpec) -> Nuclei:
    """Return the lattice points of ``kind`` where its tissue is, dressed as nuclei."""
    i = np.arange(int(window.x[0] // kind.pitch), int(window.x[-1] // kind.pitch) + 1)
    j = np.arange(int(window.y[0] // kind.pitch), int(window.y[-1] // kind.pitch) + 1)
    i, j = (grid.ravel() for grid in np.meshgrid(i, j))
    x, y = Lattice(spec.seed, kind.name).points(i, j, kind.pitch, kind.jitter)

    def drawn(name: str) -> Floats:
        return Lattice(spec.seed, f"{kind.name}/{name}").uniform(i, j)

    likely = window.sample(_likelihood(kind, maps, window.step_um), x, y) * spec.nuclei_density
    inside = (x > window.x[0]) & (x < window.x[-1]) & (y > window.y[0]) & (y < window.y[-1])
    here = np.flatnonzero((drawn("grown") < likely) & inside)
    i, j, x, y = i[here], j[here], x[here], y[here]
    long = _between(kind.long, drawn("long"))
    style = np.asarray(kind.styles)[(drawn("style") * len(kind.styles)).astype(np.int64)]
    return Nuclei(
        key=(np.int64(number) << 60) | (i.astype(np.int64) << 30) | j.astype(np.int64),
        x=x / spec.mpp,
        y=y / spec.mpp,
        long=long / spec.mpp,
        short=long * _between(kind.short, drawn("short")) / spec.mpp,
        angle=_angles(kind, window, maps, x, y) + (drawn("turn") - 0.5) * (2 * np.pi if number in (0, 2) else 0.5),
        shape=style * PER_STYLE + (drawn("shape") * PER_STYLE).astype(np.int64),
        dark=_between(kind.dark, drawn("dark")).astype(np.float32),
        class_id=np.full(len(i), kind.class_id, np.uint8),
        rank=drawn("rank"),
    )


def _between(bounds: tuple[float, float], share: Floats) -> NDArray[np.float64]:
    return bounds[0] + (bounds[1] - bounds[0]) * share.astype(np.float64)


def _likelihood(kind: Kind, maps: Anatomy, step_um: float) -> Floats:
    """Return the chance that a lattice point of ``kind`` carries a nucleus."""
    solid = maps.tissue > 0.9
    if kind.name == "cells":
        return np.asarray(solid * (maps.epithelium > 0.5) * 0.93, np.float32)
    if kind.name == "ring":
        ring = np.abs(maps.basal - RING_UM) < 3.2
        higher = maps.basal > RING_UM + 3.2
        # A nucleus keeps its cytoplasm between itself and the lumen.
        wide = 2 * round(5 / step_um) + 1
        apart = cv2.dilate(maps.lumen, np.ones((wide, wide), np.uint8)) < 0.1
        return np.asarray(solid * apart * (maps.gland > 0.9) * (0.95 * ring + 0.22 * higher), np.float32)
    stroma = solid * (maps.stroma > 0.85)
    if kind.name == "immune":
        return stroma * (0.015 + 0.85 * maps.immune) + solid * (maps.epithelium > 0.5) * np.float32(0.01)
    return stroma * (1 - 0.8 * maps.immune) * np.float32(0.55)


def _angles(kind: Kind, window: Window, maps: Anatomy, x: NDArray[np.float64], y: NDArray[np.float64]) -> Floats:
    """Return long axes: across the basement membrane in glands, along the fibres in stroma."""
    field = maps.basal if kind.name == "ring" else maps.fibre_u
    step = 1.5 * window.step_um
    slope_x = window.sample(field, x + step, y) - window.sample(field, x - step, y)
    slope_y = window.sample(field, x, y + step) - window.sample(field, x, y - step)
    turn = 0.0 if kind.name == "ring" else np.pi / 2
    return np.asarray(np.arctan2(slope_y, slope_x) + turn)


def _thinned(grown: Nuclei, overlap_px: float) -> NDArray[np.bool_]:
    """Return which stay: a nucleus goes if one of higher rank, staying or not, overlaps it by more than that.

    Matérn's second thinning: whether a nucleus stays depends on its neighbours alone, so parts of a slide agree.
    """
    stays = np.ones(len(grown), bool)
    if len(grown) < 2:
        return stays
    tree = cKDTree(np.stack([grown.x, grown.y], axis=1))
    pairs = tree.query_pairs(2 * float(grown.long.max()), output_type="ndarray")
    away = np.hypot(grown.x[pairs[:, 0]] - grown.x[pairs[:, 1]], grown.y[pairs[:, 0]] - grown.y[pairs[:, 1]])
    pairs = pairs[away < grown.long[pairs].sum(axis=1) - overlap_px]
    discs_x, discs_y, discs_r = _discs(grown)
    first, second = pairs.T
    gap = np.hypot(
        discs_x[first][:, :, None] - discs_x[second][:, None, :],
        discs_y[first][:, :, None] - discs_y[second][:, None, :],
    )
    gap -= discs_r[first][:, :, None] + discs_r[second][:, None, :]
    pairs = pairs[gap.min(axis=(1, 2)) < -overlap_px]
    first, second = pairs.T
    lower = np.where(grown.rank[first] < grown.rank[second], first, second)
    stays[lower] = False
    return stays


def _discs(grown: Nuclei) -> tuple[NDArray[np.float64], ...]:
    """Return five discs (n, 5) of x, y and radius that fill each ellipse along its long axis."""
    at = np.array([-0.84, -0.45, 0.0, 0.45, 0.84])
    reach = at * np.maximum(grown.long - 0.3 * grown.short, 0)[:, None]
    x = grown.x[:, None] + reach * np.cos(grown.angle)[:, None]
    y = grown.y[:, None] + reach * np.sin(grown.angle)[:, None]
    return x, y, grown.short[:, None] * np.sqrt(1 - at**2)
