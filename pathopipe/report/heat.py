"""Cells per mm² as a layer of colour, for pictures on which a cell is smaller than a few pixels."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pathopipe.geometry import Frame
from pathopipe.report.lettering import width_of, write

SIGMA_PX = 5.0
"""Of the Gaussian that turns points into a density, in pixels of the picture."""


def density_per_mm2(frame: Frame, height: int, width: int, centroids: NDArray[np.float64]) -> NDArray[np.float32]:
    """Return (height, width) cells per mm², smoothed, at every pixel of a picture in ``frame``.

    ``centroids`` (n, 2) are the cells' in level-0 pixels.
    """
    xy = (centroids / np.array([frame.scale_x, frame.scale_y])).astype(np.int64)
    x, y = np.clip(xy[:, 0], 0, width - 1), np.clip(xy[:, 1], 0, height - 1)
    counts = np.bincount(y * width + x, minlength=height * width).reshape(height, width)
    smooth = cv2.GaussianBlur(counts.astype(np.float32), (0, 0), SIGMA_PX)
    return np.asarray(smooth / (frame.mpp**2 * 1e-6), np.float32)


def lay_over(picture: NDArray[np.uint8], density: NDArray[np.float32], top: float) -> None:
    """Colour ``picture`` by ``density``: nothing where there are no cells, viridis up to ``top``.

    What lies below loses its own colour as the layer gains, so that no stain is taken for a density.
    """
    level = np.clip(density / top, 0, 1)
    colours = _viridis(level)
    alpha = np.clip(level * 20, 0, 1)[:, :, None] * np.float32(0.7)
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[:, :, None]
    beneath = picture * (1 - alpha / 0.7) + grey * (alpha / 0.7)
    picture[:] = np.round(beneath * (1 - alpha) + colours * alpha)


def top_of_scale(density: NDArray[np.float32]) -> float:
    """Return the round density at which the colours end: 1, 2 or 5 times a power of ten, above nearly all of it."""
    positive = density[density > density.max() / 100] if density.size else density
    if not positive.size or positive.max() <= 0:
        return 1.0
    return round_up(float(np.quantile(positive, 0.99)))


def round_up(number: float) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that is at least ``number`` (> 0)."""
    power = 10.0 ** math.floor(math.log10(number))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= number * (1 - 1e-9)))


def draw_legend(image: Image.Image, right: int, bottom: int, top: float, size: int) -> None:
    """Draw the colour scale with its lower right corner at (``right``, ``bottom``)."""
    draw = ImageDraw.Draw(image)
    label = f"{top:,.0f} cells/mm²" if top >= 1 else f"{top:g} cells/mm²"
    pad, bar = size // 2, round(size * 8)
    text = width_of(draw, "0 ", size) + width_of(draw, " " + label, size)
    box = (round(right - text - bar - 2 * pad), bottom - size - 2 * pad, right, bottom)
    draw.rectangle(box, fill=(255, 255, 255), outline=(120, 120, 120))
    x, y = box[0] + pad, box[1] + pad
    x = round(write(draw, (x, y - size // 8), "0 ", size, (0, 0, 0)))
    image.paste(Image.fromarray(_viridis(np.tile(np.linspace(0, 1, bar), (size, 1)))), (x, y))
    write(draw, (x + bar, y - size // 8), " " + label, size, (0, 0, 0))


def _viridis(level: NDArray[np.floating]) -> NDArray[np.uint8]:
    """Return (h, w, 3) RGB for (h, w) levels from 0 to 1."""
    bgr = cv2.applyColorMap((level * 255).astype(np.uint8), cv2.COLORMAP_VIRIDIS)
    return np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8)
