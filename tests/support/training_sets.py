"""Folders of training images, drawn."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from pathopipe.models.train.drawn import draw


def write_drawn_set(folder: Path) -> Path:
    """Write three drawn images, a, b and c, with their labels into ``folder`` and return it."""
    rng = np.random.default_rng(0)
    for part in ("images", "labels"):
        (folder / part).mkdir()
    for name in "abc":
        amount, labels = draw(rng, 96)
        rgb = np.repeat((255 * np.exp(-2 * amount))[..., None], 3, axis=2).astype(np.uint8)
        cv2.imwrite(str(folder / "images" / f"{name}.png"), rgb)
        cv2.imwrite(str(folder / "labels" / f"{name}.png"), labels.astype(np.uint16))
    return folder
