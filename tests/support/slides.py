"""A slide in memory that keeps the ``Slide`` contract and counts what is read of it."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import cv2
import numpy as np

from pathopipe.errors import SlideError
from pathopipe.geometry import Rect
from pathopipe.slide.base import Level, Scale, Slide, SlideInfo


class ArraySlide:
    """The slide whose level 0 is ``rgb`` (h, w, 3), at ``mpp`` µm per pixel.

    ``log`` is a folder where every read leaves a file, so that reads of several processes can be counted; ``delay`` s
    are slept in every read. Level-0 reads are copies; others are resampled by area of the pixels they touch.
    """

    def __init__(self, rgb, mpp=0.5, log: Path | None = None, delay=0.0, identity=None):
        self.rgb = np.ascontiguousarray(rgb, np.uint8)
        height, width = self.rgb.shape[:2]
        self.reads: list[tuple[Rect, int, int]] = []
        self.closed = False
        self._log, self._delay = log, delay
        mpp_x, mpp_y = mpp if isinstance(mpp, tuple) else (mpp, mpp)
        self._info = SlideInfo(
            path="memory.svs",
            reader="array",
            width=width,
            height=height,
            levels=(Level(width, height, 1.0, 1.0),),
            scale_found=Scale(mpp_x, mpp_y, "given by the test"),
            scale_problem="",
            objective=None,
            vendor="unknown",
            bounds=None,
            identity=identity or hashlib.sha256(self.rgb).hexdigest()[:16],
            unusual=(),
        )

    @property
    def info(self) -> SlideInfo:
        return self._info

    def read(self, rect: Rect, width: int, height: int):
        if self.closed:
            raise SlideError("memory.svs is closed")
        self.reads.append((rect, width, height))
        if self._log:
            name = "_".join(f"{value:.2f}" for value in rect)
            (self._log / f"{name}.{time.perf_counter_ns()}").touch()
        time.sleep(self._delay)
        x0, y0 = int(np.floor(rect.x0)), int(np.floor(rect.y0))
        x1, y1 = int(np.ceil(rect.x1 - 1e-6)), int(np.ceil(rect.y1 - 1e-6))
        canvas = np.full((y1 - y0, x1 - x0, 3), 255, np.uint8)
        inside = self.rgb[max(y0, 0) : max(y1, 0), max(x0, 0) : max(x1, 0)]
        top, left = max(-y0, 0), max(-x0, 0)
        canvas[top : top + inside.shape[0], left : left + inside.shape[1]] = inside
        if canvas.shape[:2] == (height, width):
            return canvas
        return cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA)

    def close(self) -> None:
        self.closed = True

    def __enter__(self):
        return self

    def __exit__(self, *exc) -> None:
        self.close()


_: type[Slide] = ArraySlide
