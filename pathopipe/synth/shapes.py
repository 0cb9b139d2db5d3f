"""The bank of nuclear shapes: each a smooth outline of about unit radius and the picture of the nucleus in it.

A drawn nucleus is one of them, stretched, turned and put down at a fraction of a pixel; the same affine map gives
the truth's outline, so truth and picture cannot differ.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.synth.lattice import Floats

PATCH_PX = 72
UNIT_PX = 24.0
"""Radius 1 in pixels of a patch."""
VERTICES = 36
VESICULAR, GRANULAR, DENSE = 0, 1, 2
PER_STYLE = 48


@dataclass(frozen=True)
class Bank:
    """Shapes ``style * PER_STYLE + k``: vesicular (pale with a dark rim), granular and dense ones."""

    patches: Floats
    """(shapes, PATCH_PX, PATCH_PX, 2): cover, 0.5 on the outline, and haematoxylin relative to a nucleus's mean."""
    outlines: NDArray[np.float64]
    """(shapes, VERTICES, 2) x, y from the middle, in units of the radius."""


@lru_cache(maxsize=2)
def bank_of(seed: int) -> Bank:
    """Return the bank that ``seed`` draws from."""
    random = np.random.Generator(np.random.Philox(key=[seed, 2]))
    drawn = [_shape(random, style) for style in (VESICULAR, GRANULAR, DENSE) for _ in range(PER_STYLE)]
    return Bank(np.stack([patch for patch, _ in drawn]), np.stack([outline for _, outline in drawn]))


def _shape(random: np.random.Generator, style: int) -> tuple[Floats, NDArray[np.float64]]:
    """Draw one shape: a circle with a few gentle harmonics."""
    harmonics = np.arange(2, 6)
    heights = random.normal(0, 1, 4) * np.array([0.05, 0.035, 0.025, 0.015])
    phases = random.uniform(0, 2 * np.pi, 4)

    def radius(angle: NDArray[np.float64]) -> NDArray[np.float64]:
        waves = heights * np.cos(angle[..., None] * harmonics + phases)
        return np.asarray(1 + np.clip(waves.sum(axis=-1), -0.22, 0.22))

    turn = np.linspace(0, 2 * np.pi, VERTICES, endpoint=False)
    outline = np.stack([np.cos(turn), np.sin(turn)], axis=1) * radius(turn)[:, None]
    offset = (np.arange(PATCH_PX) + 0.5 - PATCH_PX / 2) / UNIT_PX
    x, y = offset[None, :], offset[:, None]
    edge = (radius(np.arctan2(y, x)) - np.hypot(x, y)) * UNIT_PX
    cover = np.clip(0.5 + edge / 2.0, 0, 1)
    return np.stack([cover, cover * _chromatin(random, style, edge)], axis=-1).astype(np.float32), outline


def _chromatin(random: np.random.Generator, style: int, edge: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return haematoxylin inside a nucleus; ``edge`` is the distance in patch pixels inwards from its outline."""

    def grain(sigma: float) -> NDArray[np.float64]:
        smooth = cv2.GaussianBlur(random.standard_normal((PATCH_PX, PATCH_PX)), (0, 0), sigma)
        return np.asarray(smooth / smooth.std())

    if style == DENSE:
        return np.clip(1.0 + 0.16 * grain(3.2) + 0.08 * grain(1.6), 0.5, 1.5)
    rim = np.exp(-(((edge - 2.2) / 2.2) ** 2))
    pale, dark, coarse = (0.62, 0.60, 0.20) if style == VESICULAR else (0.86, 0.22, 0.27)
    inside = pale + dark * rim + coarse * grain(2.6) + 0.09 * grain(1.3)
    inside += 0.25 * np.clip(grain(3.0) - 1.2, 0, 1.5)
    for _ in range(int(random.integers(0, 3 if style == VESICULAR else 2))):
        angle, away = random.uniform(0, 2 * np.pi), random.uniform(0, 0.5) * UNIT_PX
        at = np.arange(PATCH_PX) + 0.5 - PATCH_PX / 2
        spot = np.hypot(at[None, :] - away * np.cos(angle), at[:, None] - away * np.sin(angle))
        inside += 0.55 * np.clip((random.uniform(2.2, 3.8) - spot) / 1.5, 0, 1)
    return np.clip(inside, 0.25, 1.8)
