"""What a slide's file makes its reader decode at once, read from the header before any library sees the file.

Readers believe a header: one tile of 100,000 × 100,000 pixels takes 40 GB, in OpenSlide with an abort of the whole
process. So TIFF directories and Zarr metadata are looked through here first, by code that reads a few bytes an entry
and believes nothing. A header that cannot be understood is left to the readers, which have their own words for it.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterator
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from pathopipe.errors import SlideError
from pathopipe.limits import LimitsSpec

_WIDTH, _HEIGHT, _STRIP_ROWS, _TILE_WIDTH, _TILE_HEIGHT = 256, 257, 278, 322, 323
_STRIPS, _TILES, _STRIP_SIZES, _TILE_SIZES = 273, 324, 279, 325
_NDPI = 65420
"""Hamamatsu's tag: a level is one strip there, which OpenSlide reads in parts by its restart markers."""
_NUMBERS = {1: "B", 3: "H", 4: "I", 13: "I", 16: "Q", 18: "Q"}
"""TIFF types of whole numbers, as struct calls them."""
_MOST_ENTRIES = 4096
"""Entries of one directory; scanners write a few dozen."""
_MOST_METADATA = 2000
"""Metadata files of a Zarr that are looked into."""

_WIDTHS = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value of those TIFF types that have more than one."""
_CODED = 12
"""Bytes that a pixel of a tile takes at most: four channels of 16 bits, and a code may add half."""
_LONGEST_HEAD = 1 << 20
"""Bytes that a tile may take besides its pixels: tables, profiles, comments."""


class Entry(NamedTuple):
    """One tag of a directory."""

    kind: int
    """TIFF type."""
    number: int
    """Of values."""
    width: int
    """Bytes of a value."""
    place: int
    """Where in the file the values are."""
    value: int | None
    """Where it is one whole number."""


class Directory(NamedTuple):
    """One picture of a TIFF."""

    order: str
    """Of bytes, as struct has it."""
    entries: dict[int, Entry]
    """By tag."""

    def value(self, tag: int, otherwise: int) -> int:
        """Return the whole number of ``tag``, or ``otherwise`` where there is none."""
        entry = self.entries.get(tag)
        return otherwise if entry is None or entry.value is None else entry.value

    @property
    def tile_px(self) -> int:
        """Pixels of a tile; 0 where there are none."""
        return self.value(_TILE_WIDTH, 0) * self.value(_TILE_HEIGHT, 0)

    @property
    def strip_px(self) -> int:
        """Pixels of a strip, where the picture is kept in strips."""
        height = self.value(_HEIGHT, 0)
        return self.value(_WIDTH, 0) * min(height, self.value(_STRIP_ROWS, height))


def check_header(path: str, limits: LimitsSpec) -> None:
    """Refuse a local slide whose header asks for more than ``limits`` allow; pass whatever is no TIFF and no Zarr.

    Raises
    ------
    LimitError
        If a block, the number of blocks or the number of pictures is above its limit.
    SlideError
        If a TIFF lists fewer tiles than its pictures have, or values and tiles that are too long to be true.
    """
    if "://" in path:
        return
    try:
        if Path(path).is_dir():
            for file in _metadata(Path(path)):
                _check_array(file, limits)
        else:
            with open(path, "rb") as stream:
                for number, directory in enumerate(_directories(stream), 1):
                    limits.check("max_levels", number, f"{path}: pictures in the file")
                    _check_picture(path, directory, limits)
                    _check_lengths(path, stream, directory)
    except SlideError:
        raise
    except (OSError, struct.error):
        return


def _check_picture(path: str, directory: Directory, limits: LimitsSpec) -> None:
    entries, value = directory.entries, directory.value
    blocks = max(entries[tag].number if tag in entries else 0 for tag in (_STRIPS, _TILES, _STRIP_SIZES, _TILE_SIZES))
    limits.check("max_blocks", blocks, f"{path}: tiles or strips of a level")
    width, height = value(_WIDTH, 0), value(_HEIGHT, 0)
    if _TILE_WIDTH in entries:
        across, down = max(value(_TILE_WIDTH, 0), 1), max(value(_TILE_HEIGHT, 0), 1)
        limits.check("max_block_px", across * down, f"{path}: pixels of a tile")
        needed = -(-width // across) * -(-height // down)
        if blocks < needed:  # OpenSlide would take hours to find that out, tile by tile
            raise SlideError(f"{path} is damaged: {width} × {height} px are {needed:,} tiles, and it lists {blocks:,}")
    elif _NDPI not in entries:
        limits.check("max_block_px", directory.strip_px, f"{path}: pixels of a strip")


def _check_lengths(path: str, stream: BinaryIO, directory: Directory) -> None:
    """Refuse values that are longer than the file, and tiles longer than any code makes of their pixels.

    Raises
    ------
    SlideError
        If there are such: OpenSlide would ask for as much memory, and end the process where there is none.
    """
    size = stream.seek(0, os.SEEK_END)
    for tag, entry in directory.entries.items():
        if entry.number * entry.width > size:
            raise SlideError(
                f"{path} is damaged: its tag {tag} claims {entry.number:,} values in a file of {size:,} bytes"
            )
    if _NDPI in directory.entries:
        return
    for tag, pixels in ((_TILE_SIZES, directory.tile_px), (_STRIP_SIZES, directory.strip_px)):
        lengths = directory.entries.get(tag)
        if lengths is None or lengths.kind not in _NUMBERS:
            continue
        stream.seek(lengths.place)
        kind = np.dtype(directory.order + _NUMBERS[lengths.kind])
        found = np.frombuffer(stream.read(lengths.number * kind.itemsize), kind)
        if len(found) and int(found.max()) > _CODED * pixels + _LONGEST_HEAD:
            raise SlideError(f"{path} is damaged: it lists a tile or strip of {int(found.max()):,} bytes")


def _directories(stream: BinaryIO) -> Iterator[Directory]:
    """Yield the directories of a TIFF or BigTIFF in the order of the file, none twice."""
    order = {b"II": "<", b"MM": ">"}.get(stream.read(2))
    if order is None:
        return
    version = struct.unpack(order + "H", stream.read(2))[0]
    if version not in (42, 43):
        return
    big = version == 43
    stream.seek(8 if big else 4)
    place, seen = _number(stream, order, big), set[int]()
    while place and place not in seen:
        seen.add(place)
        stream.seek(place)
        count = struct.unpack(order + ("Q" if big else "H"), stream.read(8 if big else 2))[0]
        if count > _MOST_ENTRIES:
            return
        yield Directory(order, _entries(stream, order, big, count))
        # What is done with a directory moves the stream.
        stream.seek(place + (8 + 20 * count if big else 2 + 12 * count))
        place = _number(stream, order, big)


def _number(stream: BinaryIO, order: str, big: bool) -> int:
    return int(struct.unpack(order + ("Q" if big else "I"), stream.read(8 if big else 4))[0])


def _entries(stream: BinaryIO, order: str, big: bool, number: int) -> dict[int, Entry]:
    size, head, room = (20, "HHQ", 8) if big else (12, "HHI", 4)
    start = stream.tell()
    data = stream.read(size * number)
    found = {}
    for at in range(0, len(data) - size + 1, size):
        tag, kind, count = struct.unpack_from(order + head, data, at)
        width, behind = _WIDTHS.get(kind, 1), at + size - room
        inside = count * width <= room
        value = None
        if kind in _NUMBERS and count == 1 and inside:
            value = int(struct.unpack_from(order + _NUMBERS[kind], data, behind)[0])
        place = start + behind if inside else int(struct.unpack_from(order + ("Q" if big else "I"), data, behind)[0])
        found[tag] = Entry(kind, count, width, place, value)
    return found


def _metadata(folder: Path) -> Iterator[Path]:
    names = [pattern + name for pattern in ("", "*/", "*/*/") for name in ("zarr.json", ".zarray")]
    yield from islice((path for name in names for path in folder.glob(name)), _MOST_METADATA)


def _check_array(file: Path, limits: LimitsSpec) -> None:
    """Check the chunks of a Zarr array: of its last two axes, which are those of the pixels, and the number of them."""
    limits.check("max_table_bytes", file.stat().st_size, f"{file}: bytes")
    try:
        values: Any = json.loads(file.read_bytes())
        grid = values.get("chunk_grid", {}).get("configuration", {}).get("chunk_shape") or values.get("chunks")
        shapes = [[int(side) for side in grid]] if grid else []
        for codec in values.get("codecs", ()):
            inner = codec.get("configuration", {}).get("chunk_shape") if isinstance(codec, dict) else None
            shapes += [[int(side) for side in inner]] if inner else []
        whole = [int(side) for side in values.get("shape") or ()]
    except (ValueError, TypeError, AttributeError, RecursionError):
        return
    if not shapes:
        return
    for shape in shapes:
        limits.check("max_block_px", prod(shape) // 3, f"{file}: pixels of a chunk")
    blocks = prod(-(-side // max(chunk, 1)) for side, chunk in zip(whole, shapes[0], strict=False))
    limits.check("max_blocks", blocks, f"{file}: chunks of a level")
