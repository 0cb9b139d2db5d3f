"""``cells.geojson.zip``: the cells for QuPath, in parts that it imports one by one in little memory."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal, NamedTuple

import imagecodecs
import numpy as np

from pathopipe.annotations.cells import CellTable
from pathopipe.annotations.spec import AnnotationSpec, origin
from pathopipe.annotations.typeset import SEPARATOR, features
from pathopipe.annotations.valid import PER_PX
from pathopipe.errors import GeoJSONError
from pathopipe.files import atomic_file
from pathopipe.slide.base import SlideInfo

LEVEL = 1
"""Of the compression, by libdeflate: as small as zlib makes it at level 4, in a third of the time."""
PIECE_CELLS = 500
"""Cells that are turned into JSON at a time."""
HEAD, TAIL = b'{"type":"FeatureCollection","features":[\n', b"\n]}\n"


class Part(NamedTuple):
    """One file of the .zip, compressed."""

    packed: bytes
    size: int
    """Bytes of the text."""
    crc: int
    """CRC-32 of the text."""


def geojson_parts(table: CellTable, info: SlideInfo, spec: AnnotationSpec) -> Iterator[Part]:
    """Yield the cells of ``table`` as FeatureCollections, a feature a line; none where there are no cells.

    Cells are of QuPath's light kind (``objectType`` "detection"), each with its class, colour and measurements.
    Coordinates have one decimal. The same cells give the same bytes, on any day and machine with the same libdeflate.

    Parameters
    ----------
    table : CellTable
        Some of the slide's cells.
    info : SlideInfo
        The slide, for the origin of ``coords="qupath"``.
    spec : AnnotationSpec
        Origin, and cells in a part.

    Raises
    ------
    GeoJSONError
        If a coordinate is ten million pixels or more.
    """
    shift = np.array(origin(info, spec)) * PER_PX
    for part in table.parts(spec.part_cells):
        yield _packed(SEPARATOR.join(features(piece, shift) for piece in part.parts(PIECE_CELLS)))


def _packed(features: bytes) -> Part:
    text = b"".join([HEAD, features, TAIL])
    return Part(bytes(imagecodecs.deflate_encode(text, level=LEVEL, raw=True)), len(text), zlib.crc32(text))


@contextmanager
def cells_geojson(path: Path) -> Iterator[Callable[[Part], None]]:
    """Write a .zip of ``part-0001.geojson`` and so on; one without cells if there are none.

    The context gives a function that takes the parts, in order; the file appears at the end, when it is whole.

    Raises
    ------
    GeoJSONError
        If what was written cannot be read back.
    """
    with atomic_file(path) as file:
        with _Archive(file, "w") as archive:
            yield archive.add
            if not archive.packed:
                archive.add(_packed(b""))
        file.flush()
        _check(Path(file.name), archive)


class _Archive(zipfile.ZipFile):
    """A .zip of entries that are compressed already, by libdeflate, which Python's module cannot do."""

    def __init__(self, file: BinaryIO, mode: Literal["w"]) -> None:
        super().__init__(file, mode)
        self._to = file
        self.packed: list[int] = []
        """CRC-32 of the compressed bytes of every entry."""

    def add(self, part: Part) -> None:
        """Write an entry, dated 1980."""
        entry = zipfile.ZipInfo(f"part-{len(self.packed) + 1:04d}.geojson")
        entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        entry.CRC, entry.file_size, entry.compress_size = part.crc, part.size, len(part.packed)
        entry.header_offset = self._to.tell()
        self._to.write(entry.FileHeader())
        self._to.write(part.packed)
        self.filelist.append(entry)
        self.NameToInfo[entry.filename] = entry
        self.start_dir = self._to.tell()
        self.packed.append(zlib.crc32(part.packed))


def _check(path: Path, written: _Archive) -> None:
    """Read the file back: QuPath skips a part that it cannot read without a word, so it is found out here.

    Raises
    ------
    GeoJSONError
        If a part is not what was written.
    """
    try:
        with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
            for entry, packed in zip(archive.infolist(), written.packed, strict=True):
                file.seek(entry.header_offset + len(entry.FileHeader()))
                if zlib.crc32(file.read(entry.compress_size)) != packed:
                    raise GeoJSONError(f"{entry.filename} in {path.name} is damaged after writing; is the disk full?")
    except (zipfile.BadZipFile, ValueError, OSError) as error:
        raise GeoJSONError(f"{path.name} cannot be read back after writing ({error}); is the disk full?") from error
