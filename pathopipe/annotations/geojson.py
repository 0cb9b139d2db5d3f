"""``cells.geojson.zip``: the cells for QuPath, in parts that it imports one by one in little memory."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Literal

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from pathopipe.annotations.cells import CellTable, Groups
from pathopipe.annotations.spec import AnnotationSpec, origin
from pathopipe.annotations.typeset import SEPARATOR, features
from pathopipe.annotations.valid import PER_PX
from pathopipe.errors import GeoJSONError
from pathopipe.files import atomic_file
from pathopipe.slide.base import SlideInfo

LEVEL = 1
"""Of the compression, by libdeflate: as small as zlib makes it at level 4, in a third of the time."""
BLOCK_CELLS = 500
"""Cells that are turned into JSON at a time."""
HEAD, TAIL = b'{"type":"FeatureCollection","features":[\n', b"\n]}\n"


@contextmanager
def cells_geojson(path: Path, info: SlideInfo, spec: AnnotationSpec) -> Iterator[Callable[[CellTable], None]]:
    """Write cells as a .zip of FeatureCollections, ``part-0001.geojson`` and so on, a feature a line.

    Cells are of QuPath's light kind (``objectType`` "detection"), each with its class, colour and measurements.
    Coordinates have one decimal. The same cells give the same bytes, on any day and machine with the same libdeflate,
    however they are divided into tables.

    The context gives a function that takes the tables, in order; the file appears at the end, when it is whole. A part
    is compressed in another thread while the next comes together, so two are in memory.

    Parameters
    ----------
    path : Path
        The file.
    info : SlideInfo
        The slide, for the origin of ``coords="qupath"``.
    spec : AnnotationSpec
        Origin, and cells in a part.

    Raises
    ------
    GeoJSONError
        If what was written cannot be read back.
    """
    with atomic_file(path) as file:
        with _Archive(file, "w") as archive, ThreadPoolExecutor(1) as thread:
            parts = _Parts(archive, thread, np.array(origin(info, spec)) * PER_PX, spec.part_cells)
            yield parts.add
            parts.finish()
        file.flush()
        _check(Path(file.name), archive)


class _Parts:
    """Cells come in, parts go to the archive."""

    def __init__(self, archive: _Archive, thread: Executor, shift: NDArray[np.int64], part_cells: int) -> None:
        self._archive, self._thread = archive, thread
        self._shift = shift
        """Tenths of a pixel."""
        self._groups = Groups(part_cells)
        self._number = 0
        self._writing: Future[None] | None = None

    def add(self, table: CellTable) -> None:
        """Take further cells."""
        for group in self._groups.add(table):
            self._write(group)

    def finish(self) -> None:
        """Write what is left, and wait for it."""
        for group in self._groups.rest():
            self._write(group)
        if self._writing is None:
            self._write(None)
        if self._writing is not None:
            self._writing.result()

    def _write(self, group: CellTable | None) -> None:
        blocks = (
            []
            if group is None
            else [
                features(group.part(start, min(start + BLOCK_CELLS, len(group))), self._shift)
                for start in range(0, len(group), BLOCK_CELLS)
            ]
        )
        if self._writing is not None:
            self._writing.result()
        self._number += 1
        text = b"".join([HEAD, SEPARATOR.join(blocks), TAIL])
        self._writing = self._thread.submit(self._archive.add, f"part-{self._number:04d}.geojson", text)


class _Archive(zipfile.ZipFile):
    """A .zip whose entries are compressed whole, by libdeflate, which Python's module cannot do."""

    def __init__(self, file: BinaryIO, mode: Literal["w"]) -> None:
        super().__init__(file, mode)
        self._to = file
        self.packed: list[int] = []
        """CRC-32 of the compressed bytes of every entry."""

    def add(self, name: str, data: bytes) -> None:
        """Write an entry, dated 1980."""
        packed = imagecodecs.deflate_encode(data, level=LEVEL, raw=True)
        entry = zipfile.ZipInfo(name)
        entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o600 << 16
        entry.CRC, entry.file_size, entry.compress_size = zlib.crc32(data), len(data), len(packed)
        entry.header_offset = self._to.tell()
        self._to.write(entry.FileHeader())
        self._to.write(packed)
        self.filelist.append(entry)
        self.NameToInfo[name] = entry
        self.start_dir = self._to.tell()
        self.packed.append(zlib.crc32(packed))


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
