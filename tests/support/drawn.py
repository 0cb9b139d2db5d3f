"""Drawn nuclei whose truth is known, and how tiles see them: the oracle of the stitch rule."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from pathopipe.geometry import Frame, Outlines
from pathopipe.instances import Instances
from pathopipe.tiling.grid import Tile, TileGrid

VERTICES = 24
ANGLES = np.arange(VERTICES) * (2 * np.pi / VERTICES)


def draw_nuclei(rng, side, pitch=22.0, radius=(5.0, 12.0), touching=0.3, most_overlap=0.25):
    """Return star-convex nuclei over ``side`` × ``side`` px, on a jittered lattice.

    A part (``touching``) is drawn larger, so that neighbours touch and overlap, as in real clusters; of two that
    would share more than ``most_overlap`` of the smaller one, one is left out.
    """
    axis = np.arange(pitch / 2, side - pitch / 3, pitch)
    centres = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    centres = centres + rng.uniform(-0.3, 0.3, centres.shape) * pitch
    number = len(centres)
    long = rng.uniform(*radius, number)
    long[rng.random(number) < touching] *= 1.35
    short = long * rng.uniform(0.55, 1.0, number)
    turn = rng.uniform(0, np.pi, number)
    angle = ANGLES[None, :] - turn[:, None]
    rays = long[:, None] * short[:, None] / np.hypot(short[:, None] * np.cos(angle), long[:, None] * np.sin(angle))
    phase = rng.uniform(0, 2 * np.pi, (number, 1))
    rays = rays * (1 + 0.06 * np.cos(3 * ANGLES + phase))
    return thinned(rings(centres, rays), most_overlap)


def thinned(outlines, most_overlap):
    polygons = outlines.to_shapely()
    one, other = shapely.STRtree(polygons).query(polygons)
    one, other = one[one < other], other[one < other]
    shared = shapely.area(shapely.intersection(polygons[one], polygons[other]))
    smaller = np.minimum(shapely.area(polygons[one]), shapely.area(polygons[other]))
    return outlines.take(np.setdiff1d(np.arange(len(outlines)), other[shared > most_overlap * smaller]))


def rings(centres, rays):
    xy = centres[:, None] + rays[..., None] * np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=-1)
    return Outlines(xy.reshape(-1, 2).astype(np.float32), np.arange(len(centres) + 1) * VERTICES)


def noisy(outlines, rng, noise_px):
    """Return the outlines as another tile sees them: shifted, and every ray longer or shorter, smoothly."""
    number = len(outlines)
    xy = outlines.coords.reshape(number, VERTICES, 2).astype(np.float64)
    middle = xy.mean(axis=1, keepdims=True)
    phase = rng.uniform(0, 2 * np.pi, (number, 1))
    waves = sum(rng.normal(0, 1, (number, 1)) * np.cos(k * ANGLES + phase * k) for k in (0, 2, 3, 5)) / 2
    size = np.hypot(*(xy - middle).transpose(2, 0, 1))
    grown = middle + (xy - middle) * (1 + noise_px * waves / size)[..., None]
    seen = grown + rng.normal(0, noise_px, (number, 1, 2))
    return outlines.with_coords(seen.reshape(-1, 2))


@dataclass
class Cut:
    """Truth as the tiles of a grid see it."""

    frame: Frame
    grid: TileGrid
    parts: list[tuple[Tile, Instances]]


def cut(truth, frame, grid, rng, noise_px=0.7, smallest_px2=12.0):
    """Return what each tile of ``grid`` sees of ``truth`` (working pixels): noise, and cut by its read border."""
    bounds = truth.bounds()
    parts = []
    for tile in grid:
        x0, y0, x1, y1 = tile.read
        near = np.flatnonzero((bounds[:, 2] > x0) & (bounds[:, 0] < x1) & (bounds[:, 3] > y0) & (bounds[:, 1] < y1))
        if not len(near):
            parts.append((tile, labelled(Outlines.empty(), np.zeros(0), frame, rng)))
            continue
        seen = noisy(truth.take(near), rng, noise_px) if noise_px else truth.take(near)
        clipped = shapely.clip_by_rect(shapely.make_valid(seen.to_shapely()), x0, y0, x1, y1)
        pieces, owner = shapely.get_parts(clipped, return_index=True)
        fine = (shapely.get_type_id(pieces) == shapely.GeometryType.POLYGON) & (shapely.area(pieces) > smallest_px2)
        outlines = Outlines.of(shapely.get_coordinates(piece.exterior)[:-1] for piece in pieces[fine])
        parts.append((tile, labelled(outlines, near[owner[fine]], frame, rng)))
    return Cut(frame, grid, parts)


def labelled(outlines, truth, frame, rng):
    """Return instances in level-0 pixels that know which drawn nucleus they are."""
    return Instances(
        outlines.with_coords(frame.points_to_level0(outlines.coords)),
        rng.uniform(0.5, 1, len(outlines)).astype(np.float32),
        np.zeros(len(outlines), np.uint8),
        ("Nucleus",),
        {"truth": np.asarray(truth, np.float32)},
    )


def missed_and_doubled(found, number):
    """Return how many of ``number`` drawn nuclei are not there, and how many are there more than once."""
    counts = np.bincount(found.measurements["truth"].astype(np.int64), minlength=number)
    return int((counts == 0).sum()), int((counts > 1).sum())
