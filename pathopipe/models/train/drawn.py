"""Nuclei drawn from nothing: smooth radial shapes, spindles, clusters and overlaps, with chromatin or pale inside."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.models.train.noise import Field, Rng, smooth

_CORNERS = 40


def draw(rng: Rng, size: int) -> tuple[Field, NDArray[np.int32]]:
    """Return a haematoxylin amount (size, size) in optical density and the labels of its nuclei."""
    amount = np.maximum(smooth(rng, size, 25) * rng.uniform(0, 0.06) + rng.uniform(0, 0.12), 0).astype(np.float32)
    labels = np.zeros((size, size), np.int32)
    diameter = 12.5 * np.exp(rng.uniform(np.log(0.7), np.log(2.2)))
    density = smooth(rng, size, rng.uniform(20, 90)) + rng.uniform(-0.5, 1.5)
    spindles, angle = rng.random() < 0.4, rng.uniform(0, np.pi)
    longest = rng.uniform(3.0, 10.0) if rng.random() < 0.5 else 4.0
    bent = rng.uniform(0, 1.2) if spindles else 0.0
    strength, room = rng.uniform(0.25, 1.1), rng.uniform(0.75, 1.5)
    if spindles:
        room *= np.sqrt(longest) / 2  # else they would lie on one another
    centres = _centres(rng, size, diameter * room, density)
    for number, centre in enumerate(centres, start=1):
        stretch = rng.uniform(1.8, longest) if spindles and rng.random() < 0.8 else rng.uniform(1.0, 1.7)
        turn = angle + rng.normal(0, 0.4 if spindles else 3)
        ring = _shape(rng, diameter * rng.uniform(0.7, 1.35), stretch, turn, rng.normal(0, bent))
        _paint(rng, amount, labels, np.round((ring + centre) * 16).astype(np.int32), number, strength)
    return amount, labels


def _centres(rng: Rng, size: int, apart: float, density: Field) -> NDArray[np.float64]:
    """Return points (n, 2), mostly ``apart`` from one another, where ``density`` lets them be."""
    tries = rng.uniform(0, size, (int(1.6 * (size / apart) ** 2) + 4, 2))
    tries = tries[density[tuple(tries.T[::-1].astype(int))] >= 0]
    crowded = rng.random(len(tries)) < 0.15
    kept = np.zeros_like(tries)
    count = 0
    for point, closer in zip(tries, crowded, strict=True):
        near = np.hypot(*(kept[:count] - point).T).min(initial=np.inf)
        if near > apart * (0.6 if closer else 1):
            kept[count] = point
            count += 1
    return np.asarray(kept[:count])


def _shape(rng: Rng, diameter: float, stretch: float, angle: float, bend: float) -> NDArray[np.float64]:
    """Return a ring (corners, 2) around the origin: an ellipse with a few low harmonics, bent like a bow.

    At a ``bend`` of 1 the tips lie as far beside the middle as the ellipse is wide.
    """
    t = np.linspace(0, 2 * np.pi, _CORNERS, endpoint=False)
    radius = np.ones(_CORNERS)
    for order in (2, 3, 4, 5):
        radius += rng.normal(0, 0.09 / (order - 0.5)) * np.cos(order * t + rng.uniform(0, 6.3))
    long, short = diameter / 2 * np.sqrt(stretch), diameter / 2 / np.sqrt(stretch)
    ring = np.stack([radius * long * np.cos(t), radius * short * np.sin(t)], axis=1)
    ring[:, 1] += bend * short * 2 * ((ring[:, 0] / long) ** 2 - 0.3)
    turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    return np.asarray(ring @ turn)


def _paint(
    rng: Rng, amount: Field, labels: NDArray[np.int32], ring: NDArray[np.int32], number: int, strength: float
) -> None:
    """Draw one nucleus into ``amount`` and ``labels`` (in place); it covers the ones before it."""
    size = len(labels)
    x0, y0 = np.clip(ring.min(axis=0) // 16 - 2, 0, size)
    x1, y1 = np.clip(ring.max(axis=0) // 16 + 3, 0, size)
    if x1 - x0 < 3 or y1 - y0 < 3:
        return
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    cv2.fillPoly(mask, [(ring - (x0 * 16, y0 * 16)).astype(np.int32)], 255, shift=4)
    soft = cv2.GaussianBlur(mask, (0, 0), rng.uniform(0.5, 1.1)).astype(np.float32) / 255
    inside = mask > 127
    depth = strength * rng.uniform(0.6, 1.3)
    texture = interior(rng, mask)
    here = amount[y0:y1, x0:x1]
    overlap = 0.3 if rng.random() < 0.3 else 0.0
    here[:] = here * (1 - soft * (1 - overlap)) + soft * depth * texture
    labels[y0:y1, x0:x1][inside] = number


def interior(rng: Rng, mask: NDArray[np.uint8]) -> Field:
    """Return the relative stain amount inside ``mask``: grainy chromatin, or a dark rim around a pale interior."""
    height, width = mask.shape
    grain = smooth(rng, max(height, width), rng.uniform(2, 4))[:height, :width]
    clumps = rng.uniform(0.25, 0.6) if rng.random() < 0.2 else rng.uniform(0.02, 0.25)
    texture = np.maximum(1 + grain * clumps, 0.1)
    if rng.random() < 0.4:
        depth = cv2.distanceTransform((mask > 127).astype(np.uint8), cv2.DIST_L2, 3)
        pale = np.clip(depth / rng.uniform(1.5, 4), 0, 1)
        texture *= 1 - pale * rng.uniform(0.2, 0.75)
        if rng.random() < 0.5:  # nucleoli
            texture += (grain > 1.4) * rng.uniform(0.2, 0.7)
    return np.asarray(texture, np.float32)
