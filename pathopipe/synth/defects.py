"""What spoils a slide, drawn over it: pen strokes, pigment, folds, a coverslip's edge and red cells."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.geometry import Box
from pathopipe.synth.layout import Piece, layout_of
from pathopipe.synth.spec import SynthSpec
from pathopipe.synth.stain import stain_of

INKS = {"green": (0.75, 0.20, 0.26), "red": (0.06, 0.78, 0.58), "blue": (0.95, 0.60, 0.12), "black": (1.05, 1.1, 1.2)}
"""Optical density in red, green and blue of pens, as measured on scanned ones; blue is a guess."""
_SOOT = (1.15, 1.15, 1.15)
_EDGE = (0.8, 0.8, 0.8)
_RED_CELL = (0.07, 0.52, 0.42)
_SHIFT = 4
"""cv2 takes polygon corners in fixed point: 1/16 px."""


@dataclass(frozen=True, eq=False)
class Defect:
    """One of them."""

    kind: str
    """"pen", "pigment", "fold", "edge" or "red cells"."""
    shape: shapely.Geometry
    """Polygons in level-0 pixels; may reach beyond the slide."""
    density: tuple[float, float, float] | None
    """Optical density that it adds in red, green and blue; None doubles what is there."""
    blur_um: float
    """Standard deviation of its border: what lies on the coverslip is out of focus."""


@lru_cache(maxsize=2)
def defects_of(spec: SynthSpec) -> tuple[Defect, ...]:
    """Return the defects of the slide of ``spec``; none unless it asks for them."""
    if not spec.defects:
        return ()
    random = np.random.Generator(np.random.Philox(key=[spec.seed, 11]))
    side = min(spec.width, spec.height) * spec.mpp
    wide = min(350.0, 0.04 * side)
    found = [
        Defect("pen", _stroke(spec, random, min(3000.0, 0.5 * side), wide), density, 6.0) for density in INKS.values()
    ]
    pieces = layout_of(spec).pieces
    for piece in pieces:
        found += [Defect("fold", _stroke(spec, random, 600.0, 36.0, piece), None, 1.0) for _ in range(2)]
        for _ in range(4):
            found.append(Defect("pigment", _spots(spec, random, piece, 90, 60.0, (0.8, 2.5)), _SOOT, 0.2))
            found.append(Defect("red cells", _spots(spec, random, piece, 120, 60.0, (3.2, 3.8)), _RED_CELL, 0.2))
    found.append(Defect("edge", _stroke(spec, random, 4 * side, 10.0), _EDGE, 2.0))
    return tuple(found)


def spoil(rgb: NDArray[np.uint8], box: Box, spec: SynthSpec) -> NDArray[np.uint8] | None:
    """Return ``rgb`` (h, w, 3), the part ``box`` of the slide, with its defects; None where there are none.

    Every pixel depends on its place on the slide alone, so parts fit together.
    """
    reach = math.ceil(20 / spec.mpp)  # three standard deviations of the widest blur
    here = [each for each in defects_of(spec) if each.shape.intersects(shapely.box(*box.grown(reach)))]
    if not here:
        return None
    glass = stain_of(spec).glass.astype(np.float32)
    density = np.log10(glass / np.maximum(rgb.astype(np.float32), 1))
    for defect in here:
        cover = _cover(defect, box.grown(reach), spec)[reach:-reach, reach:-reach, None]
        density += cover * (density if defect.density is None else np.array(defect.density, np.float32))
    return np.asarray(np.clip(np.round(glass * 10**-density), 0, 255), np.uint8)


def _cover(defect: Defect, box: Box, spec: SynthSpec) -> NDArray[np.float32]:
    """Return (h, w) 1 inside the defect, 0 outside, blurred."""
    mask = np.zeros((box.height, box.width), np.uint8)
    near = shapely.clip_by_rect(defect.shape, *box.grown(8))
    for part in shapely.get_parts(near):
        if part.geom_type == "Polygon" and not part.is_empty:
            ring = shapely.get_coordinates(part.exterior) - (box.x0, box.y0) - 0.5
            cv2.fillPoly(mask, [np.round(ring * (1 << _SHIFT)).astype(np.int32)], 255, shift=_SHIFT)
    sigma = max(0.5, defect.blur_um / spec.mpp)
    size = 2 * math.ceil(3 * sigma) + 1
    return np.asarray(cv2.GaussianBlur(mask.astype(np.float32) / 255, (size, size), sigma), np.float32)


def _stroke(
    spec: SynthSpec, random: np.random.Generator, length_um: float, width_um: float, piece: Piece | None = None
) -> shapely.Geometry:
    """Return a bent stroke through a piece of tissue, any where none is given."""
    pieces = layout_of(spec).pieces
    x, y = _place(random, piece or pieces[int(random.integers(len(pieces)))])
    angle, bend = random.uniform(0, 2 * np.pi), random.uniform(-0.3, 0.3)
    along = np.linspace(-0.5, 0.5, 33) * length_um
    across = bend * (along**2 / length_um - length_um / 12)
    cos, sin = np.cos(angle), np.sin(angle)
    line = np.stack([x + along * cos - across * sin, y + along * sin + across * cos], axis=1) / spec.mpp
    return shapely.LineString(line).buffer(width_um / spec.mpp / 2)


def _spots(
    spec: SynthSpec,
    random: np.random.Generator,
    piece: Piece,
    number: int,
    spread_um: float,
    radius_um: tuple[float, float],
) -> shapely.Geometry:
    """Return ``number`` discs around one place of ``piece``."""
    middle = _place(random, piece)
    spots = (middle + random.normal(0, spread_um, (number, 2))) / spec.mpp
    radii = random.uniform(*radius_um, number) / spec.mpp
    return shapely.union_all(shapely.buffer(shapely.points(spots), radii, quad_segs=4))


def _place(random: np.random.Generator, piece: Piece) -> NDArray[np.float64]:
    """Return a place (x, y) in µm well inside ``piece``."""
    angle, distance = random.uniform(0, 2 * np.pi), 0.6 * np.sqrt(random.uniform())
    along, across = distance * np.cos(angle) * piece.radius_x, distance * np.sin(angle) * piece.radius_y
    cos, sin = np.cos(piece.angle), np.sin(piece.angle)
    return np.array([piece.x + along * cos - across * sin, piece.y + along * sin + across * cos])
