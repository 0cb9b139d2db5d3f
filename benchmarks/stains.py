"""The stains of an image, estimated, and the image as another laboratory would have stained it.

Light that passes through dyes is absorbed by each in proportion to its amount (Beer and Lambert), so optical density is
a sum of stain vectors. They are estimated after Macenko et al. (2009), "A method for normalizing histology slides for
quantitative analysis", ISBI.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

WHITE = 255.0
"""Intensity without any dye."""
LEAST_OD = 0.15
"""Pixels whose optical density (base 10) is lower are glass; Macenko's beta. It is the mean over the channels here:
eosin hardly absorbs red, so asking each channel for it would leave pale eosin out."""
TAIL_PERCENT = 1.0
"""The stain vectors stand at this percentile of the pixels' angles and at 100 less it; Macenko's alpha."""
LEAST_PIXELS = 2000
LEAST_ANGLE = 8.0
"""Degrees between haematoxylin and eosin. Below, the image shows one stain only, and amounts cannot be told apart."""
NOT_ONE_STAIN = ("ihc", "pen", "almost-white", "no-tissue", "coverslip", "mask", "staintools", "slideflow")
"""Files with one of these words in their path show something else than clean H&E, or several slides side by side."""
Stains = NDArray[np.float64]
"""(2, 3) unit vectors of optical density in red, green and blue: haematoxylin, eosin."""


class StainError(ValueError):
    """An image does not show two stains."""


def optical_density(rgb: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Return the optical density (base 10) of ``rgb`` (..., 3); black counts as intensity 1."""
    return -np.log10(np.maximum(rgb.astype(np.float64), 1) / WHITE)


def estimate_stains(rgb: NDArray[np.uint8]) -> Stains:
    """Return the stain vectors of an H&E image (h, w, 3).

    Raises
    ------
    StainError
        If there are too few stained pixels, or only one stain.
    """
    density = optical_density(rgb.reshape(-1, 3))
    density = density[density.mean(axis=1) > LEAST_OD]
    if len(density) < LEAST_PIXELS:
        raise StainError(f"only {len(density)} stained pixels")
    _, axes = np.linalg.eigh(np.cov(density.T))
    plane = axes[:, [2, 1]] * np.where(axes[:, [2, 1]].sum(axis=0) < 0, -1, 1)
    angles = np.arctan2(*(density @ plane).T[::-1])
    ends = np.percentile(angles, [TAIL_PERCENT, 100 - TAIL_PERCENT])
    pair = np.stack([np.cos(ends), np.sin(ends)], axis=1) @ plane.T
    pair = np.abs(pair) / np.linalg.norm(pair, axis=1, keepdims=True)
    pair = pair[np.argsort(-pair[:, 0])]  # haematoxylin, which is bluer, absorbs more red
    if (between := degrees(pair[0], pair[1])) < LEAST_ANGLE:
        raise StainError(f"only {between:.0f} degrees between the two stains")
    return pair


def degrees(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Return the angle between two unit vectors."""
    return float(np.degrees(np.arccos(np.clip(one @ other, -1, 1))))


def amounts(rgb: NDArray[np.uint8], stains: Stains) -> NDArray[np.float64]:
    """Return (..., 2) how much haematoxylin and eosin every pixel holds, by least squares."""
    return optical_density(rgb) @ np.linalg.pinv(stains)


def recoloured(
    rgb: NDArray[np.uint8], own: Stains, target: Stains, strength: tuple[float, float] = (1.0, 1.0)
) -> NDArray[np.uint8]:
    """Return ``rgb`` with the same amounts of dye, dyed with ``target``.

    Parameters
    ----------
    rgb : (h, w, 3) uint8
    own, target : Stains
        Its own stain vectors, and those wanted.
    strength : (haematoxylin, eosin)
        Factors of the amounts.

    Returns
    -------
    (h, w, 3) uint8
        What two stains do not explain stays as it is, so ``target`` equal to ``own`` gives the same image.
    """
    density = optical_density(rgb)
    held = density @ np.linalg.pinv(own)
    density += held @ (np.diag(strength) @ target - own)
    return np.clip(np.rint(WHITE * 10**-density), 0, 255).astype(np.uint8)


def between(own: Stains, target: Stains, part: float) -> Stains:
    """Return stain vectors that lie ``part`` of the way from ``own`` to ``target``; above 1 they go beyond it."""
    moved = np.maximum(own + part * (target - own), 0.01)
    return moved / np.linalg.norm(moved, axis=1, keepdims=True)


def seen_stains(folder: Path) -> dict[str, Stains]:
    """Return file name to stain vectors of all H&E images in ``folder``; images without two stains are left out."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".png", ".jpg", ".tif")):
        if any(word in str(path.relative_to(folder)) for word in NOT_ONE_STAIN):
            continue
        try:
            found[path.name] = estimate_stains(cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB))
        except StainError:
            continue
    return found


def spread(seen: dict[str, Stains], number: int) -> list[str]:
    """Return the names of ``number`` stain pairs that cover the range of those ``seen``.

    Each next one is the farthest from all before (Gonzalez 1985); the first is the farthest from the mean.
    """
    names = sorted(seen)
    points = np.stack([seen[name].ravel() for name in names])
    gaps = np.linalg.norm(points - points.mean(axis=0), axis=1)
    chosen: list[int] = []
    for _ in range(min(number, len(names))):
        chosen.append(int(np.argmax(gaps)))
        from_new = np.linalg.norm(points - points[chosen[-1]], axis=1)
        gaps = from_new if len(chosen) == 1 else np.minimum(gaps, from_new)
    return [names[index] for index in chosen]
