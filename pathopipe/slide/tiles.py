"""Where a TIFF keeps the compressed tiles of its levels, and one tile of a level, read and decoded."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tifffile import COMPRESSION, PHOTOMETRIC, PLANARCONFIG, TiffFile, TiffFileError, TiffPage

from pathopipe.errors import SlideError
from pathopipe.geometry import Box
from pathopipe.slide.base import Level
from pathopipe.slide.jpeg import JpegTiles, OddTileError

LARGEST_TILE = 4096 * 4096
"""Pixels of a tile; larger ones are whole pictures, which are better not decoded for a corner of them."""
_COLOURS = (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR)
_BROKEN = (
    OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, struct.error, TiffFileError,
)  # fmt: skip


class OpenFile:
    """A file open for reading by position, from several threads; it closes with the last reference to it."""

    def __init__(self, path: str) -> None:
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.size = os.fstat(self.number).st_size

    def __del__(self) -> None:
        # Absent where the file could not be opened. At the end of Python os itself may be gone: the system closes then.
        if hasattr(self, "number") and os is not None:
            os.close(self.number)


@dataclass(frozen=True)
class TiledLevel:
    """The tiles of one level."""

    width: int
    """Width of the level in pixels."""
    height: int
    codec: JpegTiles
    offsets: NDArray[np.int64]
    """(rows, columns) first byte of every tile in the file."""
    lengths: NDArray[np.int64]
    """(rows, columns) bytes of every tile; 0 where the file leaves it out."""

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return int(self.offsets.shape[0])

    @property
    def columns(self) -> int:
        """Columns of tiles."""
        return int(self.offsets.shape[1])

    def box(self, row: int, column: int) -> Box:
        """Return the pixels of a tile that lie on the level."""
        width, height = self.codec.width, self.codec.height
        whole = Box(column * width, row * height, (column + 1) * width, (row + 1) * height)
        return whole.clipped(Box(0, 0, self.width, self.height))

    def raw(self, file: OpenFile, row: int, column: int) -> bytes:
        """Return a tile as it stands in ``file``; empty where the file leaves it out.

        Raises
        ------
        OddTileError
            If it does not lie within the file.
        """
        offset, length = int(self.offsets[row, column]), int(self.lengths[row, column])
        if length == 0:
            return b""
        # A JPEG that needs more than the pixels themselves is none, and must not fill the memory.
        if not 0 < length <= 4 * self.codec.width * self.codec.height + 65536:
            raise OddTileError(f"a tile of {length} bytes")
        if not 0 < offset <= file.size - length:
            raise OddTileError(f"{length} bytes at {offset} of a file of {file.size}")
        return os.pread(file.number, length, offset)


def find_levels(path: str, levels: Sequence[Level]) -> tuple[TiledLevel, ...]:
    """Return where the tiles of ``levels`` are in the TIFF at ``path``.

    Raises
    ------
    SlideError
        If it is no TIFF, or one of its levels is not kept as JPEG tiles of RGB that cover it.
    """
    try:
        with TiffFile(path) as file:
            pages = [page for page in file.pages if isinstance(page, TiffPage) and page.is_tiled]
            return tuple(_level(level, pages) for level in levels)
    except TiffFileError:
        raise SlideError("not a TIFF file") from None
    except _BROKEN as error:
        if isinstance(error, SlideError):
            raise
        raise SlideError(f"a damaged TIFF: {type(error).__name__}: {error}") from error


def _level(level: Level, pages: Sequence[TiffPage]) -> TiledLevel:
    fitting = [page for page in pages if (page.imagewidth, page.imagelength) == (level.width, level.height)]
    name = f"the level of {level.width} × {level.height} px"
    if len(fitting) != 1:
        raise SlideError(f"{name} is not kept as it is in one page of tiles")
    page: Any = fitting[0]
    if page.compression != COMPRESSION.JPEG:
        raise SlideError(f"{name} is compressed as {page.compression.name}, not as JPEG")
    plain = page.planarconfig == PLANARCONFIG.CONTIG and page.imagedepth == page.tiledepth == 1
    if page.photometric not in _COLOURS or page.samplesperpixel != 3 or page.bitspersample != 8 or not plain:
        raise SlideError(f"{name} is not of interleaved RGB of 8 bits")
    width, height = int(page.tilewidth), int(page.tilelength)
    if not 0 < width * height <= LARGEST_TILE:
        raise SlideError(f"{name} has tiles of {width} × {height} px")
    shape = (-(-level.height // height), -(-level.width // width))
    offsets, lengths = (np.asarray(each, np.int64) for each in (page.dataoffsets, page.databytecounts))
    if offsets.size != shape[0] * shape[1] or lengths.size != offsets.size:
        raise SlideError(f"{name} lists {offsets.size} tiles instead of {shape[0] * shape[1]}")
    try:
        codec = JpegTiles(width, height, page.photometric == PHOTOMETRIC.YCBCR, bytes(page.jpegtables or b""))
    except OddTileError as error:
        raise SlideError(f"{name} has damaged JPEG tables: {error}") from error
    return TiledLevel(level.width, level.height, codec, offsets.reshape(shape), lengths.reshape(shape))
