"""A slide of which parts cannot be decoded, for the pictures that show all of it: the rest is still worth seeing."""

from __future__ import annotations

from typing import Self

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.errors import SlideError
from pathopipe.geometry import Rect
from pathopipe.slide.base import Slide, SlideInfo

_SMALLEST_PX = 32
_FINER = 4
_WHITE = 255


class PatchySlide:
    """``slide`` with white where it cannot be decoded; :attr:`unread` tells where that was.

    What fails is read in halves, down to pieces of 32 pixels. Each of them is tried on a finer level before it is
    given up, since a level may be damaged where the others are not.
    """

    def __init__(self, slide: Slide) -> None:
        self._slide = slide
        self._pieces: list[Rect] = []
        self.error: SlideError | None = None
        """Why the first piece could not be read."""

    @property
    def info(self) -> SlideInfo:
        """Facts about the slide."""
        return self._slide.info

    @property
    def unread(self) -> shapely.Geometry:
        """What could not be read until now, in level-0 pixels; may be empty."""
        return shapely.union_all([shapely.box(*piece) for piece in self._pieces])

    def read(self, rect: Rect, width: int, height: int) -> NDArray[np.uint8]:
        """Return ``rect`` as :meth:`pathopipe.slide.base.Slide.read` does, and white where it would raise."""
        try:
            return self._slide.read(rect, width, height)
        except SlideError as error:
            if max(width, height) <= _SMALLEST_PX:
                return self._finer(rect, width, height, error)
        out = np.empty((height, width, 3), np.uint8)
        if width >= height:
            half = width // 2
            x = rect.x0 + rect.width * half / width
            out[:, :half] = self.read(Rect(rect.x0, rect.y0, x, rect.y1), half, height)
            out[:, half:] = self.read(Rect(x, rect.y0, rect.x1, rect.y1), width - half, height)
        else:
            half = height // 2
            y = rect.y0 + rect.height * half / height
            out[:half] = self.read(Rect(rect.x0, rect.y0, rect.x1, y), width, half)
            out[half:] = self.read(Rect(rect.x0, y, rect.x1, rect.y1), width, height - half)
        return out

    def _finer(self, rect: Rect, width: int, height: int, error: SlideError) -> NDArray[np.uint8]:
        try:
            pixels = self._slide.read(rect, width * _FINER, height * _FINER)
        except SlideError:
            self.error = self.error or error
            self._pieces.append(rect)
            return np.full((height, width, 3), _WHITE, np.uint8)
        return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)

    def close(self) -> None:
        """Release the file."""
        self._slide.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


_: type[Slide] = PatchySlide
