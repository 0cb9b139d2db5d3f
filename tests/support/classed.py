"""Images of nuclei of two classes that anyone can tell apart, with their truth."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import shapely

from pathopipe.geometry import Outlines

CLASSES = ("Tumor", "Immune cells")
"""Large, pale, with a rim; small and dark."""
_RADIUS = ((7.0, 9.5), (3.5, 4.5))
_STAIN = np.array([0.62, 0.72, 0.30])
_PLASMA = np.array([0.10, 0.95, 0.20])
_FINE = 4


@dataclass
class Classed:
    """A drawn image."""

    rgb: np.ndarray
    """(h, w, 3) uint8"""
    labels: np.ndarray
    """(h, w) uint16, from 1."""
    outlines: Outlines
    """In pixels of the image."""
    class_id: np.ndarray
    """(n,) index into ``CLASSES``."""


def draw_classed(seed, side, pixel=1.0):
    """Return an image of ``side`` × ``side`` px whose pixels are ``pixel`` times as large as those at 0.5 µm/px."""
    rng = np.random.default_rng(seed)
    pitch = 27.0 / pixel
    axis = np.arange(pitch * 0.6, side - pitch * 0.5, pitch)
    centres = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    centres = centres + rng.uniform(-0.18, 0.18, centres.shape) * pitch
    class_id = rng.integers(0, 2, len(centres))
    amount = rng.normal(0.06, 0.01, (side, side))
    labels = np.zeros((side, side), np.uint16)
    rings = []
    for number, (centre, kind) in enumerate(zip(centres, class_id, strict=True), 1):
        ring = _ring(rng, _RADIUS[kind]) / pixel + centre
        rings.append(ring)
        near, inside = _painted(ring, side, margin=round(8 / pixel))
        labels[near][inside > 0.5] = number
        depth = cv2.GaussianBlur(inside, (0, 0), 1.3 / pixel)
        density = 0.95 * inside if kind else inside * (0.22 + 0.5 * (1 - depth))
        amount[near] = np.maximum(amount[near], density * rng.uniform(0.85, 1.15))
    plasma = cv2.GaussianBlur(rng.normal(0, 1, (side, side)), (0, 0), 6 / pixel) * 0.8 + 0.18
    density = amount[..., None] * _STAIN + np.maximum(plasma, 0)[..., None] * _PLASMA
    rgb = 245 * 10**-density + rng.normal(0, 2, (side, side, 1))
    return Classed(np.clip(rgb, 0, 255).astype(np.uint8), labels, Outlines.of(rings), class_id)


def _ring(rng, radius):
    angle = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    long = rng.uniform(*radius)
    size = np.stack([np.cos(angle), np.sin(angle) * rng.uniform(0.8, 1.0)], axis=1) * long
    size *= 1 + 0.05 * np.cos(3 * angle + rng.uniform(0, 6))[:, None]
    turn = rng.uniform(0, np.pi)
    return size @ np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])


def _painted(ring, side, margin):
    """Return where ``ring`` is, ``margin`` px around it included, and which part of each pixel there lies inside."""
    low = np.maximum(np.floor(ring.min(axis=0)).astype(int) - margin, 0)
    high = np.minimum(np.ceil(ring.max(axis=0)).astype(int) + margin, side)
    width, height = high - low
    canvas = np.zeros((height * _FINE, width * _FINE), np.uint8)
    cv2.fillPoly(canvas, [np.round((ring - low) * _FINE - 0.5).astype(np.int32)], 255)
    inside = cv2.resize(canvas, (int(width), int(height)), interpolation=cv2.INTER_AREA).astype(float) / 255
    return (slice(low[1], high[1]), slice(low[0], high[0])), inside


def matched(found, found_class, true, true_class):
    """Return (found, true) classes of the pairs of ``Outlines`` whose IoU exceeds 0.5."""
    first, second = true.to_shapely(), found.to_shapely()
    one, other = shapely.STRtree(second).query(first)
    shared = shapely.area(shapely.intersection(first[one], second[other]))
    pairs = shared > 0.5 * (shapely.area(first[one]) + shapely.area(second[other]) - shared)
    return found_class[other[pairs]], true_class[one[pairs]]


def write_folder(folder, images):
    """Write {id: Classed} as a folder of training images with their classes."""
    rows = ["id,instance,class"]
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for name, drawn in images.items():
        cv2.imwrite(str(folder / "images" / f"{name}.png"), drawn.rgb[..., ::-1])
        cv2.imwrite(str(folder / "labels" / f"{name}.png"), drawn.labels)
        rows += [f"{name},{number},{CLASSES[kind]}" for number, kind in enumerate(drawn.class_id, 1)]
    (folder / "classes.csv").write_text("\n".join(rows) + "\n")
    return folder
