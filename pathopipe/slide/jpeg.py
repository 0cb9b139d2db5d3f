"""JPEG tiles as TIFF files hold them: headers checked, tables and colours put in, decoded whole or smaller.

A tile of a TIFF is a JPEG that may lack its tables, which stand once in the file (TIFF Technical Note 2), and whose
colours the TIFF's own tag decides, whatever the JPEG says of itself. The header is therefore written anew: the tables,
and an Adobe marker that states the colours. What the codec finds suspicious is an error here, as it is in OpenSlide:
other libraries go on and return grey where data are missing.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import simplejpeg
from numpy.typing import NDArray

SHRINKS = (1, 2, 4)
"""A tile can be decoded to a half or a quarter of its sides: the inverse DCT of the lower frequencies alone."""

Sampling = tuple[tuple[int, int], ...]
"""Horizontal and vertical sampling factor of every component."""

_SUBSAMPLINGS: dict[Sampling, str] = {
    ((1, 1), (1, 1), (1, 1)): "4:4:4",
    ((2, 1), (1, 1), (1, 1)): "4:2:2",
    ((2, 2), (1, 1), (1, 1)): "4:2:0",
}
_END, _SCAN, _COMMENT = 0xD9, 0xDA, 0xFE
_FRAMES = (0xC0, 0xC1, 0xC2)  # baseline, extended and progressive, with Huffman coding
_TABLES = (0xC4, 0xDB, 0xDD)  # DHT, DQT, DRI
_ADOBE = b"\xff\xee\x00\x0eAdobe\x00\x64\x00\x00\x00\x00"
_KNOWN_HEADERS = 16
"""Headers that are remembered; tiles of one encoder share theirs, unless each has Huffman tables of its own."""


class OddTileError(ValueError):
    """A tile is not what the file says of it, or not decodable without doubt."""


class Frame(NamedTuple):
    """What a JPEG states of its picture."""

    width: int
    height: int
    precision: int
    """Bits a sample."""
    sampling: Sampling

    @property
    def subsampling(self) -> str:
        """The sampling as microscopists write it, such as "4:2:0"."""
        return _SUBSAMPLINGS.get(self.sampling, " ".join(f"{x}×{y}" for x, y in self.sampling))


class JpegTiles:
    """Decodes the tiles of one level. Holds no state but what it learnt of headers: safe with several threads.

    Parameters
    ----------
    width, height : int
        Size that every tile must have.
    ycbcr : bool
        Whether the TIFF says YCbCr; else RGB.
    tables : bytes
        The TIFF's JPEGTables; empty where there are none.

    Raises
    ------
    OddTileError
        If the tables cannot be understood.
    """

    def __init__(self, width: int, height: int, ycbcr: bool, tables: bytes) -> None:
        self.width = width
        self.height = height
        self.shrinks = tuple(each for each in SHRINKS if not (width % each or height % each))
        """The shrinks at which a tile's pixels do not reach over its border."""
        shared = _kept(tables, 2, _END)[0] if tables else b""
        self._prefix = b"\xff\xd8" + _ADOBE + (b"\x01" if ycbcr else b"\x00") + shared
        self._headers: tuple[tuple[bytes, bytes], ...] = ()

    def decode(
        self, data: bytes, shrink: int = 1, out: NDArray[np.uint8] | bytearray | None = None
    ) -> NDArray[np.uint8]:
        """Return the tile as RGB uint8 (height / shrink, width / shrink, 3).

        Parameters
        ----------
        data : bytes
            The tile as it stands in the file.
        shrink : int
            One of :attr:`shrinks`.
        out : contiguous array or bytearray, optional
            Memory of the result.

        Raises
        ------
        OddTileError
            If it is no JPEG of this level's tiles, or the codec finds anything wrong with it.
        """
        height, width = self.height // shrink, self.width // shrink
        try:
            pixels = simplejpeg.decode_jpeg(
                self.whole(data), "RGB", min_height=height, min_width=width, buffer=out, strict=True
            )
        except (ValueError, RuntimeError) as error:
            raise OddTileError(str(error)) from error
        if pixels.shape != (height, width, 3):
            raise OddTileError(f"decoded to {pixels.shape} instead of {(height, width, 3)}")
        return np.asarray(pixels, np.uint8)

    def whole(self, data: bytes) -> bytes:
        """Return the tile as a JPEG of its own: with its tables, and the colours that the TIFF states.

        Raises
        ------
        OddTileError
            If the header is damaged or of another size than the level's tiles.
        """
        for header, whole in self._headers:
            if data.startswith(header):
                return b"".join((whole, memoryview(data)[len(header) :]))
        kept, end = _kept(data, 2, _SCAN)
        frame = frame_of(data)
        if frame.width != self.width or frame.height != self.height:
            raise OddTileError(f"a JPEG of {frame.width} × {frame.height} instead of {self.width} × {self.height}")
        if frame.precision != 8 or len(frame.sampling) != 3:
            raise OddTileError(f"{len(frame.sampling)} component(s) of {frame.precision} bits")
        whole = self._prefix + kept
        if len(self._headers) < _KNOWN_HEADERS:
            self._headers = (*self._headers, (data[:end], whole))
        return b"".join((whole, memoryview(data)[end:]))


def frame_of(data: bytes) -> Frame:
    """Return what the JPEG ``data`` states of its picture.

    Raises
    ------
    OddTileError
        If the header is damaged, or of a kind that is not decoded here (lossless, arithmetic coding).
    """
    kept, _ = _kept(data, 2, _SCAN)
    place = 0
    while place < len(kept):
        marker, length = kept[place + 1], int.from_bytes(kept[place + 2 : place + 4], "big")
        if marker in _FRAMES:
            return _frame(kept[place + 4 : place + 2 + length])
        place += 2 + length
    raise OddTileError("no frame header")


def _frame(segment: bytes) -> Frame:
    try:
        precision, height, width, count = struct.unpack_from(">BHHB", segment)
        factors = [segment[7 + 3 * index] for index in range(count)]
    except (struct.error, IndexError):
        raise OddTileError("a damaged frame header") from None
    return Frame(width, height, precision, tuple((factor >> 4, factor & 15) for factor in factors))


def _kept(data: bytes, place: int, last: int) -> tuple[bytes, int]:
    """Return the frame header and tables of ``data`` from ``place`` on, and where the marker ``last`` stands.

    Left out is what applications and people noted.
    """
    if data[:2] != b"\xff\xd8":
        raise OddTileError("does not begin as a JPEG does")
    parts: list[bytes] = []
    while True:
        if len(data) < place + 2 or data[place] != 0xFF:
            raise OddTileError("a damaged header")
        marker = data[place + 1]
        if marker == last:
            return b"".join(parts), place
        if marker == 0xFF:  # a filling byte
            place += 1
            continue
        length = int.from_bytes(data[place + 2 : place + 4], "big")
        if marker in _FRAMES or marker in _TABLES:
            parts.append(data[place : place + 2 + length])
        elif not (0xE0 <= marker <= 0xEF or marker == _COMMENT):
            raise OddTileError(f"an unforeseen marker {marker:02x} in its header")
        if length < 2 or len(data) < place + 2 + length:
            raise OddTileError("a damaged header")
        place += 2 + length
