"""Smooth random fields: the raw material of drawn tissue."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Rng = np.random.Generator
Field = NDArray[np.float32]


def smooth(rng: Rng, size: int, grain: float) -> Field:
    """Return (size, size) noise of mean 0 and deviation about 1 whose features are ``grain`` pixels wide."""
    coarse = max(2, round(size / grain) + 3)
    field = cv2.resize(
        rng.standard_normal((coarse, coarse)).astype(np.float32), (size, size), interpolation=cv2.INTER_CUBIC
    )
    return np.asarray(field * 1.25, np.float32)


def fibres(rng: Rng, size: int) -> Field:
    """Return (size, size) wavy stripes, 0 to 1."""
    angle, period = rng.uniform(0, np.pi), rng.uniform(4, 18)
    y, x = np.mgrid[:size, :size].astype(np.float32)
    phase = (x * np.cos(angle) + y * np.sin(angle)) / period * 2 * np.pi
    phase += smooth(rng, size, 40) * rng.uniform(1, 4) + smooth(rng, size, 14) * rng.uniform(0, 1)
    return np.asarray((0.5 + 0.5 * np.sin(phase)) ** rng.uniform(0.7, 3), np.float32)


def bands(rng: Rng, size: int) -> Field:
    """Return (size, size), 0 to 1: long wavy bands and their frayed edges, as keratin, folds and fibres show them."""
    line = np.abs(smooth(rng, size, rng.uniform(25, 80)) + rng.uniform(-0.6, 0.6))
    line += smooth(rng, size, rng.uniform(4, 12)) * rng.uniform(0, 0.05)
    band = np.clip((rng.uniform(0.05, 0.6) - line) * rng.uniform(8, 30), 0, 1)
    texture = 1 + fibres(rng, size) * rng.uniform(0, 0.6) + smooth(rng, size, 3) * rng.uniform(0, 0.25)
    return np.asarray(np.maximum(band * texture, 0), np.float32)


def smudges(rng: Rng, size: int) -> Field:
    """Return (size, size), 0 to 1: a few soft blobs as large as nuclei, as nuclei above or below the focus show."""
    field = np.zeros((size, size), np.float32)
    spots = rng.integers(1, 25)
    rows, cols = rng.integers(0, size, (2, spots))
    field[rows, cols] = rng.uniform(0.3, 1.0, spots)
    field = np.asarray(cv2.dilate(field, np.ones((int(rng.integers(3, 9)), int(rng.integers(3, 9))))), np.float32)
    return np.asarray(cv2.GaussianBlur(field, (0, 0), rng.uniform(2.0, 5.0)), np.float32)


def flakes(rng: Rng, size: int) -> Field:
    """Return (size, size), 0 to 1: layered flakes of nuclear width with clefts between them, as keratin lies."""
    layers = fibres(rng, size) * (0.6 + 0.4 * np.clip(smooth(rng, size, rng.uniform(8, 30)), -1, 1))
    layers += smooth(rng, size, rng.uniform(3, 8)) * rng.uniform(0.03, 0.2)
    clefts = np.clip(
        (np.abs(smooth(rng, size, rng.uniform(10, 35))) - rng.uniform(0.0, 0.25)) * rng.uniform(3, 12), 0, 1
    )
    return np.asarray(np.clip(rng.uniform(0, 0.5) + layers, 0, 1.3) * clefts, np.float32)


def eosin(rng: Rng, size: int) -> Field:
    """Return an eosin amount (size, size) in optical density: plasma and stroma at several scales, fibres and voids."""
    field = rng.uniform(0.1, 0.6) * np.ones((size, size), np.float32)
    for grain in (60, 20, 7, 2.5):
        field += smooth(rng, size, grain) * rng.uniform(0, 0.12)
    if rng.random() < 0.45:
        field += fibres(rng, size) * rng.uniform(0.03, 0.3)
    if rng.random() < 0.35:
        edge = smooth(rng, size, rng.uniform(15, 60)) - rng.uniform(0.3, 1.5)
        field *= 1 - np.clip(edge * rng.uniform(2, 10), 0, 1)
    if rng.random() < 0.25:  # red cells and the like: small, dense, even blobs
        edge = smooth(rng, size, rng.uniform(7, 14)) - rng.uniform(1.0, 1.8)
        field += np.clip(edge * 6, 0, 1) * rng.uniform(0.2, 0.6)
    return np.asarray(np.maximum(field, 0), np.float32)
