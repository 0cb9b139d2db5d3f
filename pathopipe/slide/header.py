"""What a slide's file makes its reader decode at once, read from the header before any library sees the file.

Readers believe a header: one tile of 100,000 × 100,000 pixels takes 40 GB, in OpenSlide with an abort of the whole
process. So TIFF directories and Zarr metadata are looked through here first, by code that reads a few bytes an entry
and believes nothing. A header that cannot be understood is left to the readers, which have their own words for it.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any, BinaryIO

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

Entries = dict[int, tuple[int, int | None]]
"""Tag to its count of values and, where it is one whole number, the value."""


def check_header(path: str, limits: LimitsSpec) -> None:
    """Refuse a local slide whose header asks for more than ``limits`` allow; pass whatever is no TIFF and no Zarr.

    Raises
    ------
    LimitError
        If a block, the number of blocks or the number of pictures is above its limit.
    """
    if "://" in path:
        return
    try:
        if Path(path).is_dir():
            for file in _metadata(Path(path)):
                _check_array(file, limits)
        else:
            with open(path, "rb") as stream:
                for number, entries in enumerate(_directories(stream), 1):
                    limits.check("max_levels", number, f"{path}: pictures in the file")
                    _check_picture(path, entries, limits)
    except (OSError, struct.error):
        return


def _check_picture(path: str, entries: Entries, limits: LimitsSpec) -> None:
    def value(tag: int, otherwise: int) -> int:
        found = entries.get(tag, (0, None))[1]
        return otherwise if found is None else found

    blocks = max(entries.get(tag, (0, None))[0] for tag in (_STRIPS, _TILES, _STRIP_SIZES, _TILE_SIZES))
    limits.check("max_blocks", blocks, f"{path}: tiles or strips of a level")
    width, height = value(_WIDTH, 0), value(_HEIGHT, 0)
    if _TILE_WIDTH in entries:
        pixels = value(_TILE_WIDTH, 0) * value(_TILE_HEIGHT, 0)
        limits.check("max_block_px", pixels, f"{path}: pixels of a tile")
    elif _NDPI not in entries:
        limits.check("max_block_px", width * min(height, value(_STRIP_ROWS, height)), f"{path}: pixels of a strip")


def _directories(stream: BinaryIO) -> Iterator[Entries]:
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
        yield _entries(stream, order, big, count)
        place = _number(stream, order, big)


def _number(stream: BinaryIO, order: str, big: bool) -> int:
    return int(struct.unpack(order + ("Q" if big else "I"), stream.read(8 if big else 4))[0])


def _entries(stream: BinaryIO, order: str, big: bool, number: int) -> Entries:
    size, head = (20, "HHQ") if big else (12, "HHI")
    data = stream.read(size * number)
    found: Entries = {}
    for start in range(0, len(data) - size + 1, size):
        tag, kind, count = struct.unpack_from(order + head, data, start)
        code = _NUMBERS.get(kind)
        inline = code is not None and count == 1 and struct.calcsize(order + code) <= (8 if big else 4)
        place = start + struct.calcsize(order + head)
        found[tag] = (count, struct.unpack_from(order + str(code), data, place)[0] if inline else None)
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
