"""Slides of JPEG tiles in every manner that scanners and converters have of writing them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import tifffile

from tests.support.drawn_slides import APERIO, Pixels

TABLES = (0xDB, 0xC4)


def parted(jpeg: bytes, drop: Sequence[int]) -> tuple[bytes, bytes]:
    """Return ``jpeg`` without the segments of the markers ``drop``, and those segments as a JPEG of tables."""
    kept, dropped, place = [jpeg[:2]], [jpeg[:2]], 2
    while jpeg[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(jpeg[place + 2 : place + 4], "big")
        (dropped if jpeg[place + 1] in drop else kept).append(jpeg[place:end])
        place = end
    return b"".join([*kept, jpeg[place:]]), b"".join([*dropped, b"\xff\xd9"])


def write_jpeg_slide(
    path: Path,
    levels: Sequence[Pixels],
    sampling: str = "420",
    rgb: bool = False,
    tables: bool = False,
    bare: bool = False,
    tile: tuple[int, int] = (256, 256),
    missing: Sequence[int] = (),
    aperio: bool = False,
    **options: Any,
) -> Path:
    """Write ``levels`` as JPEG tiles.

    Parameters
    ----------
    sampling : str
        "420", "422" or "444".
    rgb : bool
        Whether the JPEGs hold RGB and the TIFF says so.
    tables : bool
        Whether the tables stand once in the TIFF.
    bare : bool
        Whether the JPEGs say nothing of their colours (no JFIF and no Adobe marker).
    tile : (height, width)
        Of the tiles.
    missing : sequence of int
        Tiles of level 0 that are left out.
    aperio : bool
        Whether it is described as an Aperio slide.
    """
    height, width = levels[0].shape[:2]
    text = APERIO.format(w=width, h=height, mpp="0.25", power="40") if aperio else ""
    with tifffile.TiffWriter(path, **options) as writer:
        for index, level in enumerate(levels):
            tiles = [_encoded(each, sampling, rgb) for each in _cut(level, tile)]
            if bare:
                tiles = [parted(each, (0xE0, 0xEE))[0] for each in tiles]
            shared = parted(tiles[0], TABLES)[1]
            tiles = [parted(each, TABLES)[0] if tables else each for each in tiles]
            tiles = [b"" if index == 0 and number in missing else each for number, each in enumerate(tiles)]
            writer.write(
                iter(tiles),
                shape=level.shape,
                dtype="uint8",
                tile=tile,
                photometric="rgb" if rgb else "ycbcr",
                compression="jpeg",
                subsampling=None if rgb else (int(sampling[0]) // int(sampling[1]), 2 - (sampling[2] != "0")),
                jpegtables=shared if tables else None,
                subfiletype=1 if index and not aperio else 0,
                description=text or None,
                metadata=None,
                resolution=(40000, 40000),
                resolutionunit="CENTIMETER",
            )
            if aperio and index == 0:
                writer.write(level[:64, :64].copy(), photometric="rgb", compression="zlib", metadata=None)
    return path


def _cut(level: Pixels, tile: tuple[int, int]) -> list[Pixels]:
    """Return the tiles; what of them lies beyond the level is black, as libtiff leaves it."""
    rows, columns = -(-level.shape[0] // tile[0]), -(-level.shape[1] // tile[1])
    whole = np.zeros((rows * tile[0], columns * tile[1], 3), np.uint8)
    whole[: level.shape[0], : level.shape[1]] = level
    return [
        np.ascontiguousarray(whole[y : y + tile[0], x : x + tile[1]])
        for y in range(0, len(whole), tile[0])
        for x in range(0, whole.shape[1], tile[1])
    ]


def _encoded(tile: Pixels, sampling: str, rgb: bool) -> bytes:
    space = "RGB" if rgb else "YCBCR"
    return bytes(imagecodecs.jpeg8_encode(tile, 90, colorspace="RGB", outcolorspace=space, subsampling=sampling))
