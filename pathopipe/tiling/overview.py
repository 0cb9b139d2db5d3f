"""The low-power picture of a slide, read in blocks so that memory stays flat whatever the slide's size."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pathopipe.geometry import Box, Frame
from pathopipe.slide.base import Slide, SlideInfo

_MAX_PX = 16_000_000
_BLOCK_PX = 2048  # side of what is decoded at once, in pixels of the pyramid level that is read


def read_overview(slide: Slide, mpp: float) -> tuple[NDArray[np.uint8], Frame]:
    """Return the whole slide at about ``mpp`` µm per pixel, and the frame of that picture.

    A slide so large that the picture would exceed 16 megapixels is seen more coarsely; a slide that is coarser itself
    is seen as it is.

    Returns
    -------
    pixels : (h, w, 3) uint8
        RGB.
    frame : Frame
        Of ``pixels``.

    Raises
    ------
    MissingScaleError
        If the slide's resolution is not known.
    SlideError
        If it cannot be decoded.
    """
    info = slide.info
    um2 = info.width * info.scale.x * info.height * info.scale.y
    frame = info.frame(max(mpp, math.sqrt(um2 / _MAX_PX), info.scale.x, info.scale.y))
    block = _block(info, frame)
    out = np.empty((frame.height, frame.width, 3), np.uint8)
    for y in range(0, frame.height, block):
        for x in range(0, frame.width, block):
            box = Box(x, y, x + block, y + block).clipped(frame.box)
            out[box.y0 : box.y1, box.x0 : box.x1] = slide.read(frame.to_level0(box), box.width, box.height)
    return out, frame


def _block(info: SlideInfo, frame: Frame) -> int:
    """Return the side of a block in pixels of ``frame`` such that few pixels of the level behind it are decoded."""
    scale = max(frame.scale_x, frame.scale_y)
    fine = [max(level.downsample_x, level.downsample_y) for level in info.levels]
    behind = max((each for each in fine if each <= scale * 1.01), default=1.0)
    return max(16, int(_BLOCK_PX * behind / scale))
