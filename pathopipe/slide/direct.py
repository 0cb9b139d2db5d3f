"""Slides whose JPEG tiles are decoded straight from the file, several times faster than through OpenSlide.

OpenSlide opens the slide too: the facts are its own, it shows at opening that a few tiles of every level come out the
same, and it reads what the file leaves out. See docs/adr/0008.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.errors import SlideError
from pathopipe.geometry import Box
from pathopipe.slide.base import SlideSpec
from pathopipe.slide.jpeg import OddTileError, frame_of
from pathopipe.slide.openslide import OpenSlidePixels, open_pixels
from pathopipe.slide.pyramid import WHITE, PyramidSlide
from pathopipe.slide.tiles import OpenFile, TiledLevel, find_levels

VENDORS = frozenset(["aperio", "generic-tiff"])
"""OpenSlide's names of the formats whose levels are grids of tiles that neither overlap nor have gaps."""
CACHE_BYTES = 2**25
"""Decoded tiles that were needed in part are kept up to this, as much as OpenSlide keeps: a neighbouring read needs
the rest of them."""

CHECKED = 3
"""Tiles of a level that are compared with OpenSlide's at opening."""

Place = tuple[int, int, int, int]
"""Level, shrink, row and column of a tile."""


class DirectReader:
    """Opens TIFF slides of JPEG tiles; the entry point "direct"."""

    name = "direct"

    def open(self, path: str, spec: SlideSpec) -> PyramidSlide:
        """Open the slide at ``path``, a local file.

        Raises
        ------
        SlideError
            If OpenSlide does not open it, or its levels are not JPEG tiles that decode to OpenSlide's pixels.
        """
        if "://" in path or not Path(path).is_file():
            raise SlideError("not a local file")
        with open(path, "rb") as stream:
            if stream.read(2) not in (b"II", b"MM"):
                raise SlideError("not a TIFF file")
        info, openslide = open_pixels(path, spec)
        try:
            if info.vendor not in VENDORS:
                raise SlideError(f"of {info.vendor}, whose tiles may overlap")
            levels = find_levels(path, info.levels)
            if info.vendor == "aperio" and not all(level.lengths.all() for level in levels):
                # OpenSlide then takes coarser tiles for missing too, and fills them in from finer ones.
                raise SlideError("an Aperio slide that leaves tiles out")
            pixels = DirectPixels(path, levels, openslide)
        except SlideError:
            openslide.close()
            raise
        try:
            kinds = [pixels.check(index) for index in range(len(info.levels))]
        except SlideError:
            pixels.close()
            raise
        codec = levels[0].codec
        told = f"JPEG {kinds[0]} in tiles of {codec.width} × {codec.height} px, straight from the file"
        return PyramidSlide(replace(info, reader=self.name, decoding=told), pixels, pixels)


class DirectPixels:
    """The pixels of tiles in a file.

    Threads: reading is by position and decoding without state; the cache is locked.

    Parameters
    ----------
    path : str
        The file.
    levels : sequence of TiledLevel
        Where the tiles are.
    openslide : OpenSlidePixels
        Reads tiles that the file leaves out; closed with these pixels.
    """

    def __init__(self, path: str, levels: Sequence[TiledLevel], openslide: OpenSlidePixels) -> None:
        self._path = path
        self._levels = tuple(levels)
        self._openslide = openslide
        self._file: OpenFile | None = OpenFile(path)
        self._cache = _Cache()
        self._scratch = threading.local()

    def check(self, index: int) -> str:
        """Decode a few tiles of level ``index`` as OpenSlide does too; return their chroma subsampling.

        Raises
        ------
        SlideError
            If they differ, or there is none that both can decode.
        """
        level, file, kind = self._levels[index], self._opened(), ""
        present = np.flatnonzero(level.lengths > 0)
        if self._openslide.is_exact(index):
            evenly = np.linspace(0, max(len(present) - 1, 0), min(CHECKED, len(present)))
            chosen = present[evenly.astype(int)]
        else:
            chosen = present[present == 0]  # Only in the corner OpenSlide does not interpolate.
        for tile in chosen:
            row, column = divmod(int(tile), level.columns)
            try:
                data = level.raw(file, row, column)
                pixels = level.codec.decode(data)
            except OddTileError:
                continue
            box = level.box(row, column)
            if not np.array_equal(pixels[: box.height, : box.width], self._openslide.read_level(index, box)):
                raise SlideError(f"the tile in row {row}, column {column} of level {index} is not as OpenSlide has it")
            kind = frame_of(data).subsampling
        if not kind:
            raise SlideError(f"no tile of level {index} could be compared with OpenSlide's")
        return kind

    def shrinks(self, index: int) -> tuple[int, ...]:
        """Return the factors by which tiles of level ``index`` can be decoded smaller, ascending from 1."""
        return self._levels[index].codec.shrinks

    def read_level(self, index: int, box: Box) -> NDArray[np.uint8]:
        """Return ``box`` of level ``index`` as RGB uint8 (height, width, 3): OpenSlide's pixels.

        Raises
        ------
        SlideError
            If a tile is damaged: the codec finds anything wrong with it, or it does not lie in the file.
        """
        return self.read_shrunk(index, 1, box)

    def read_shrunk(self, index: int, shrink: int, box: Box) -> NDArray[np.uint8]:
        """Return ``box`` of level ``index`` decoded to 1 / ``shrink`` of its size.

        A pixel depends on its own tile alone, so it is the same whichever box it is read in.

        Parameters
        ----------
        index : int
            Level.
        shrink : int
            One of :meth:`shrinks`.
        box : Box
            In pixels of the smaller picture, whose size is the level's divided and rounded up.

        Returns
        -------
        (height, width, 3) uint8
            RGB; where the last column or row reaches beyond the level, white is averaged in.

        Raises
        ------
        SlideError
            If a tile is damaged: the codec finds anything wrong with it, or it does not lie in the file.
        """
        level, file = self._levels[index], self._opened()
        width, height = level.codec.width // shrink, level.codec.height // shrink
        most_x, most_y = -(-level.width // shrink), -(-level.height // shrink)
        result = np.empty((box.height, box.width, 3), np.uint8)
        for row in range(box.y0 // height, -(-box.y1 // height)):
            y = row * height
            top, bottom = max(y, box.y0), min(y + height, box.y1)
            is_high = bottom - top == min(height, most_y - y)
            for column in range(box.x0 // width, -(-box.x1 // width)):
                x = column * width
                left, right = max(x, box.x0), min(x + width, box.x1)
                is_whole = is_high and right - left == min(width, most_x - x)
                pixels = self._tile(file, (index, shrink, row, column), keep=not is_whole)
                part = pixels[top - y : bottom - y, left - x : right - x]
                result[top - box.y0 : bottom - box.y0, left - box.x0 : right - box.x0] = part
        return result

    def _tile(self, file: OpenFile, place: Place, keep: bool) -> NDArray[np.uint8]:
        """Return a tile from the cache, or decoded; the next call may overwrite it."""
        pixels = self._cache.get(place)
        if pixels is None:
            pixels = self._decoded(file, place)
            if keep:
                pixels = pixels.copy()
                self._cache.put(place, pixels)
        return pixels

    def _decoded(self, file: OpenFile, place: Place) -> NDArray[np.uint8]:
        index, shrink, row, column = place
        level = self._levels[index]
        # Beyond the level's border a tile may hold anything, which decoding it smaller would mix in.
        is_inside = (row + 1) * level.codec.height <= level.height and (column + 1) * level.codec.width <= level.width
        by_codec = shrink if is_inside else 1
        memory = self._memory(level.codec.height // by_codec, level.codec.width // by_codec)
        try:
            data = level.raw(file, row, column)
            pixels = level.codec.decode(data, by_codec, memory) if data else None
        except OddTileError as error:
            box = level.box(row, column)
            where = f"level {index}, x {box.x0}–{box.x1}, y {box.y0}–{box.y1}"
            raise SlideError(f"{self._path}: cannot decode {where}: {error}") from error
        if pixels is not None and is_inside:
            return pixels
        box = level.box(row, column)
        whole = self._openslide.read_level(index, box) if pixels is None else pixels[: box.height, : box.width]
        return _averaged(whole, shrink)

    def _memory(self, height: int, width: int) -> NDArray[np.uint8]:
        """Return this thread's array of that size."""
        kept: dict[Any, NDArray[np.uint8]] = self._scratch.__dict__
        if (height, width) not in kept:
            kept[height, width] = fast_memory(height, width)
        return kept[height, width]

    def _opened(self) -> OpenFile:
        file = self._file
        if file is None:
            raise SlideError(f"{self._path} is closed")
        return file

    def close(self) -> None:
        """Release the file, as soon as no thread reads from it any more."""
        self._file = None
        self._cache.clear()
        self._openslide.close()


class _Cache:
    """Decoded tiles, the latest used up to ``CACHE_BYTES``."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tiles: OrderedDict[Place, NDArray[np.uint8]] = OrderedDict()
        self._bytes = 0

    def get(self, place: Place) -> NDArray[np.uint8] | None:
        with self._lock:
            if place in self._tiles:
                self._tiles.move_to_end(place)
            return self._tiles.get(place)

    def put(self, place: Place, pixels: NDArray[np.uint8]) -> None:
        with self._lock:
            if place not in self._tiles:
                self._tiles[place] = pixels
                self._bytes += pixels.nbytes
            while self._bytes > CACHE_BYTES:
                self._bytes -= self._tiles.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        with self._lock:
            self._tiles.clear()
            self._bytes = 0


def fast_memory(height: int, width: int) -> NDArray[np.uint8]:
    """Return an array (height, width, 3) that libjpeg-turbo decodes into at its fastest.

    Where rows begin at multiples of 32 bytes, decoding a tile of 256 px took 15 % longer (libjpeg-turbo 3 with AVX2,
    306 to 317 µs against 261 to 268); copying its pixels on took the same.
    """
    size = height * width * 3
    buffer = np.empty(size + 64, np.uint8)
    start = (16 - buffer.ctypes.data) % 32
    return buffer[start : start + size].reshape(height, width, 3)


def _averaged(pixels: NDArray[np.uint8], shrink: int) -> NDArray[np.uint8]:
    """Return area means of ``shrink`` squares, white beyond the last column and row."""
    if shrink == 1:
        return pixels
    height, width = (-(-size // shrink) for size in pixels.shape[:2])
    whole = np.full((height * shrink, width * shrink, 3), WHITE, np.uint8)
    whole[: pixels.shape[0], : pixels.shape[1]] = pixels
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
