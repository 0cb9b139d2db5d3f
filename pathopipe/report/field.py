"""The field that shows most cells, at full resolution: where a segmentation can be judged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pathopipe.geometry import Frame, Rect

FIELD_UM = 256.0
"""Side of the field."""
_STEPS = 4  # the field is moved by a quarter of its side


def densest_field(frame: Frame, centroids: NDArray[np.float64], side_um: float = FIELD_UM) -> Rect:
    """Return the square of ``side_um`` µm that holds most ``centroids`` (n, 2); the first in case of a tie.

    Both in level-0 pixels. It lies within the slide; on a slide smaller than it, it is the slide's shorter side.
    """
    slide_w, slide_h = frame.width * frame.scale_x, frame.height * frame.scale_y
    # Square in µm: as many working pixels in x as in y.
    side = min(side_um / frame.mpp, frame.width, frame.height)
    w, h = side * frame.scale_x, side * frame.scale_y
    bins = np.floor(centroids / np.array([w, h]) * _STEPS).astype(np.int64)
    cols, rows = (int(np.ceil(slide_w / w * _STEPS)), int(np.ceil(slide_h / h * _STEPS)))
    bins = np.clip(bins, 0, [cols - 1, rows - 1])
    counts = np.bincount(bins[:, 1] * cols + bins[:, 0], minlength=rows * cols).reshape(rows, cols)
    total = np.pad(counts.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    span_y, span_x = min(_STEPS, rows), min(_STEPS, cols)
    windows = total[span_y:, span_x:] - total[:-span_y, span_x:] - total[span_y:, :-span_x] + total[:-span_y, :-span_x]
    row, col = np.unravel_index(int(windows.argmax()), windows.shape)
    x0, y0 = min(col * w / _STEPS, slide_w - w), min(row * h / _STEPS, slide_h - h)
    return Rect(float(x0), float(y0), float(x0 + w), float(y0 + h))
