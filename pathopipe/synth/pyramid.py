"""The slide file: tiles of every level, collected while blocks are drawn and written in one pass."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import cv2
import imagecodecs
import numpy as np
import tifffile
from numpy.typing import NDArray

from pathopipe.synth.spec import BLOCK_PX, TILE_PX, SynthSpec

THUMBNAIL_PX = 1024
"""The thumbnail's longer side is at most this."""


def encoded(tile: NDArray[np.uint8], quality: int) -> bytes:
    """Return a tile (h, w, 3) as a JPEG of its own: YCbCr, 4:2:0."""
    return bytes(imagecodecs.jpeg8_encode(tile, quality, colorspace="RGB", outcolorspace="YCBCR", subsampling="420"))


def averaged(pixels: NDArray[np.uint8], downsample: int) -> NDArray[np.uint8]:
    """Return area averages of ``downsample`` squares of (h, w, 3) pixels; sides are multiples of it."""
    if downsample == 1:
        return pixels
    size = (pixels.shape[1] // downsample, pixels.shape[0] // downsample)
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


class LevelSpool:
    """One coarse level: a strip of pixels in memory, encoded tiles in a temporary file.

    Blocks come row by row. A strip is as high as a tile or as a row of blocks, whichever is more.
    """

    def __init__(self, spec: SynthSpec, downsample: int, folder: Path) -> None:
        self.downsample = downsample
        self.width, self.height = spec.width // downsample, spec.height // downsample
        self._quality = spec.jpeg_quality
        self._side = BLOCK_PX // downsample
        """Side of a block on this level."""
        strip = max(self._side, TILE_PX)
        block_cols = -(-spec.width // BLOCK_PX)
        columns = -(-block_cols * self._side // TILE_PX) * TILE_PX
        self._strip = np.zeros((strip, columns, 3), np.uint8)
        self._per_strip = strip // self._side
        self._file = TemporaryFile(dir=folder)  # noqa: SIM115 - close() ends it
        self._lengths: list[int] = []

    def put(self, row: int, col: int, part: NDArray[np.uint8]) -> None:
        """Take the averages of the block at ``row``, ``col``."""
        y, x = row % self._per_strip * self._side, col * self._side
        self._strip[y : y + self._side, x : x + self._side] = part

    def end_row(self, row: int, last: bool) -> None:
        """Encode the strip when ``row`` fills it, or when no more rows come."""
        if not last and (row + 1) % self._per_strip:
            return
        top = (row // self._per_strip) * len(self._strip)
        for y in range(0, min(len(self._strip), self.height - top), TILE_PX):
            for x in range(0, self.width, TILE_PX):
                tile = encoded(np.ascontiguousarray(self._strip[y : y + TILE_PX, x : x + TILE_PX]), self._quality)
                self._file.write(tile)
                self._lengths.append(len(tile))

    def tiles(self) -> Iterator[bytes]:
        """Yield the encoded tiles, row by row."""
        self._file.seek(0)
        for length in self._lengths:
            yield self._file.read(length)

    def close(self) -> None:
        """Remove the temporary file."""
        self._file.close()


class Mosaic:
    """A small picture of the whole slide: averages of blocks, in memory, about 2 × THUMBNAIL_PX a side at most."""

    def __init__(self, spec: SynthSpec, channels: int = 3) -> None:
        self.downsample = 1
        while max(spec.width, spec.height) > THUMBNAIL_PX * self.downsample:
            self.downsample *= 2
        self._side = BLOCK_PX // self.downsample
        rows, cols = (-(-size // BLOCK_PX) for size in (spec.height, spec.width))
        self._pixels = np.zeros((rows * self._side, cols * self._side, channels), np.uint8)
        self._size = (spec.height // self.downsample, spec.width // self.downsample)

    def put(self, row: int, col: int, part: NDArray[np.uint8]) -> None:
        """Take the averages of the block at ``row``, ``col``."""
        y, x = row * self._side, col * self._side
        self._pixels[y : y + self._side, x : x + self._side] = part

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """The picture (h, w, channels)."""
        return self._pixels[: self._size[0], : self._size[1]]


def write_slide(
    path: Path, spec: SynthSpec, aperio: bool, finest: Iterator[bytes], coarse: list[LevelSpool], thumbnail: Mosaic
) -> None:
    """Write the TIFF at ``path``: ``finest`` yields level 0's tiles, and fills ``coarse`` and ``thumbnail`` as it goes.

    Aperio's order of pages: level 0, the thumbnail, the coarser levels.
    """
    # A TIFF of 4-byte offsets holds 4 GiB; JPEG of stained tissue stays below 2 bytes a pixel at any quality.
    big = spec.width * spec.height * 2 >= 2**32
    with tifffile.TiffWriter(path, bigtiff=big, byteorder="<") as tiff:
        tiff.write(finest, **_page(spec, spec.width, spec.height, 1, aperio))
        if aperio:
            tiff.write(np.ascontiguousarray(thumbnail.pixels), **_thumbnail(spec, thumbnail))
        for level in coarse:
            tiff.write(level.tiles(), **_page(spec, level.width, level.height, level.downsample, aperio))


def _page(spec: SynthSpec, width: int, height: int, downsample: int, aperio: bool) -> dict[str, Any]:
    per_cm = 1e4 / (spec.mpp * downsample)
    return {
        "shape": (height, width, 3),
        "dtype": np.uint8,
        "tile": (TILE_PX, TILE_PX),
        "photometric": "ycbcr",
        "compression": "jpeg",
        "subsampling": (2, 2),
        "resolution": (per_cm, per_cm),
        "resolutionunit": "CENTIMETER",
        "subfiletype": 0 if downsample == 1 or aperio else 1,
        "description": _aperio(spec, width, height) if aperio else _plain(spec),
        "software": "pathopipe",
        "metadata": None,
    }


def _thumbnail(spec: SynthSpec, thumbnail: Mosaic) -> dict[str, Any]:
    height, width = thumbnail.pixels.shape[:2]
    return {
        "photometric": "rgb",
        "compression": "zlib",
        "rowsperstrip": 16,
        "description": _aperio(spec, width, height, "- "),
        "software": "pathopipe",
        "metadata": None,
    }


def _aperio(spec: SynthSpec, width: int, height: int, kind: str = "") -> str:
    """Return Aperio's description, by which readers know the format; it says that the slide is drawn."""
    scaled = "" if width == spec.width else f" -> {width}x{height}"
    kind = kind or f"(256x256) JPEG/YCC Q={spec.jpeg_quality}"
    return (
        f"Aperio Image Library (drawn by pathopipe, not scanned)\r\n{spec.width}x{spec.height}{scaled} {kind}"
        f"|AppMag = {spec.objective:g}|MPP = {spec.mpp:.4f}|Seed = {spec.seed}"
    )


def _plain(spec: SynthSpec) -> str:
    return f"drawn by pathopipe, not scanned; seed {spec.seed}, {spec.mpp:g} um per pixel, {spec.objective:g}x"
