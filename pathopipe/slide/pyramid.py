"""A slide of any reader: levels of pixels behind, rectangles at any resolution in front."""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pathopipe.geometry import Box, Rect
from pathopipe.slide.base import SlideInfo
from pathopipe.slide.levels import fits, level_for, shrunk
from pathopipe.slide.resample import edges, means, resample, span, whole_step

WHITE = 255
"""What is transparent or outside the slide: the colour of empty glass."""

MOST_PIXELS = 24_000_000
"""A read that needs more level pixels than this is made in parts, so that an overview of a huge slide with a single
level stays within some 500 MB of memory."""


class Pixels(Protocol):
    """What a reader gives: the pixels of single levels. Called from several threads at once."""

    def read_level(self, index: int, box: Box) -> NDArray[np.uint8]:
        """Return ``box`` (pixels of level ``index``, inside it, not empty) as RGB uint8 (height, width, 3).

        Raises
        ------
        SlideError
            If the pixels cannot be decoded.
        """
        ...

    def close(self) -> None:
        """Release the file."""
        ...


class Shrinking(Protocol):
    """What a reader gives that can decode a level smaller, for less work than decoding and averaging it."""

    def shrinks(self, index: int) -> tuple[int, ...]:
        """Return the whole factors by which level ``index`` can be decoded smaller, ascending from 1."""
        ...

    def read_shrunk(self, index: int, shrink: int, box: Box) -> NDArray[np.uint8]:
        """Return ``box`` (pixels of the level made smaller by ``shrink``) as RGB uint8 (height, width, 3).

        The smaller level's size is the level's divided by ``shrink`` and rounded up; beyond the level it is white.
        A pixel must not depend on the box that it is read in.

        Raises
        ------
        SlideError
            If the pixels cannot be decoded.
        """
        ...


class PyramidSlide:
    """The :class:`~pathopipe.slide.base.Slide` of every built-in reader.

    Parameters
    ----------
    info : SlideInfo
        Facts about the slide.
    pixels : Pixels
        Where its pixels come from; closed with the slide.
    shrinking : Shrinking, optional
        The same, decoded smaller.
    """

    def __init__(self, info: SlideInfo, pixels: Pixels, shrinking: Shrinking | None = None) -> None:
        self._info = info
        self._pixels = pixels
        self._shrinking = shrinking

    @property
    def info(self) -> SlideInfo:
        """Facts about the slide."""
        return self._info

    def read(self, rect: Rect, width: int, height: int) -> NDArray[np.uint8]:
        """Return ``rect`` (level-0 pixels) as RGB uint8 (height, width, 3); see the protocol for the rules.

        A part of the plane comes out the same whichever rectangle it is read in, if the rectangles ask for the same
        resolution and their pixels fall on the same grid.

        Raises
        ------
        SlideError
            If the pixels cannot be decoded, or the slide is closed.
        ValueError
            If the rectangle or the size is empty.
        """
        if width < 1 or height < 1 or not (rect.width > 0 and rect.height > 0):
            raise ValueError(f"cannot read {rect} as {width} × {height} pixels: nothing is asked for")
        index, shrink = self._source(rect.width / width, rect.height / height)
        level = shrunk(self._info.levels[index], shrink)
        if self._is_outside(rect):
            return self._white(width, height)
        if rect.width / level.downsample_x * rect.height / level.downsample_y > MOST_PIXELS and width * height > 1:
            return self._read_halves(rect, width, height)
        x0, x1, y0, y1 = (
            rect.x0 / level.downsample_x, rect.x1 / level.downsample_x,
            rect.y0 / level.downsample_y, rect.y1 / level.downsample_y,
        )  # fmt: skip
        if whole_step(x0, x1, width) and whole_step(y0, y1, height):
            pixels = self._padded(index, shrink, Box(round(x0), round(y0), round(x1), round(y1)))
            return self._white(width, height) if pixels is None else means(pixels, width, height)
        x, y = edges(x0, x1, width), edges(y0, y1, height)
        box = Box(*(span(x)[0], span(y)[0]), *(span(x)[1], span(y)[1]))
        pixels = self._padded(index, shrink, box)
        return self._white(width, height) if pixels is None else resample(pixels, x - box.x0, y - box.y0)

    def _white(self, width: int, height: int) -> NDArray[np.uint8]:
        return np.full((height, width, 3), WHITE, np.uint8)

    def _source(self, scale_x: float, scale_y: float) -> tuple[int, int]:
        """Return the level to read for that many level-0 pixels a pixel, and by how much smaller it is decoded."""
        # Tiles of one grid differ in the last bits of their scale, and must all be read from the same source.
        scale_x, scale_y = round(scale_x, 6), round(scale_y, 6)
        index = level_for(self._info.levels, scale_x, scale_y)
        if self._shrinking is None or index > 0:  # Coarser levels are small, and tissue is found on them.
            return index, 1
        level = self._info.levels[index]
        steps = scale_x / level.downsample_x, scale_y / level.downsample_y
        return index, max(each for each in self._shrinking.shrinks(index) if fits(each, *steps))

    def _is_outside(self, rect: Rect) -> bool:
        return rect.x1 <= 0 or rect.y1 <= 0 or rect.x0 >= self._info.width or rect.y0 >= self._info.height

    def _read_halves(self, rect: Rect, width: int, height: int) -> NDArray[np.uint8]:
        if height >= width:
            half = height // 2
            y = rect.y0 + rect.height * half / height
            above = self.read(rect._replace(y1=y), width, half)
            return np.concatenate([above, self.read(rect._replace(y0=y), width, height - half)], axis=0)
        half = width // 2
        x = rect.x0 + rect.width * half / width
        left = self.read(rect._replace(x1=x), half, height)
        return np.concatenate([left, self.read(rect._replace(x0=x), width - half, height)], axis=1)

    def _padded(self, index: int, shrink: int, box: Box) -> NDArray[np.uint8] | None:
        """Return ``box`` of a level decoded smaller, white where it lies outside; None where all of it does."""
        level = shrunk(self._info.levels[index], shrink)
        inside = box.clipped(Box(0, 0, level.width, level.height))
        if not inside.area:
            return None
        if self._shrinking is None or shrink == 1:
            pixels = self._pixels.read_level(index, inside)
        else:
            pixels = self._shrinking.read_shrunk(index, shrink, inside)
        if inside == box:
            return pixels
        padded = np.full((box.height, box.width, 3), WHITE, np.uint8)
        top, left = inside.y0 - box.y0, inside.x0 - box.x0
        padded[top : top + inside.height, left : left + inside.width] = pixels
        return padded

    def close(self) -> None:
        """Release the file. Reading afterwards is an error."""
        self._pixels.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()
