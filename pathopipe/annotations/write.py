"""The cells of a slide become its two files: in blocks, made anywhere and in any order, and then put together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from pathopipe.annotations.cells import CellTable, prepare_cells
from pathopipe.annotations.colours import classification
from pathopipe.annotations.geojson import Part, cells_geojson, geojson_parts
from pathopipe.annotations.ids import CellIds, Keys
from pathopipe.annotations.parquet import cells_parquet, row_group
from pathopipe.annotations.spec import AnnotationSpec
from pathopipe.errors import StoreError
from pathopipe.files import atomic_file
from pathopipe.instances import Instances
from pathopipe.slide.base import SlideInfo

BLOCK_CELLS = 20_000
"""Most cells of a block, which are a row group of ``cells.parquet`` and whole parts of ``cells.geojson.zip``."""
MEASURED_CELLS = 2_000
"""Cells that are measured at a time."""


class Written(NamedTuple):
    """How many cells there were."""

    cells: int
    """In the files."""
    repaired: int
    """Of these, whose outline crossed itself after rounding and was cut to its largest piece."""
    dropped: int
    """Whose outline had no area left after rounding; they are in no file."""


@dataclass(frozen=True)
class Made:
    """A block as it is in its two files, with the suffixes ``.geojson`` and ``.arrow``."""

    path: Path
    """Of the files, without suffix."""
    count: Written
    keys: Keys
    """(cells,) equal for cells whose outlines are."""
    parts: tuple[tuple[int, int, int], ...]
    """Of each part of the GeoJSON: bytes in the file, where they are compressed; bytes of the text; its CRC-32."""

    def remove(self) -> None:
        """Remove the files."""
        for suffix in (".geojson", ".arrow"):
            self.path.with_suffix(suffix).unlink(missing_ok=True)


def block_cells(spec: AnnotationSpec) -> int:
    """Return how many of a slide's cells make a block; the last has fewer."""
    return BLOCK_CELLS // spec.part_cells * spec.part_cells


def make_block(
    path: Path, cells: Instances, info: SlideInfo, spec: AnnotationSpec, earlier: tuple[int, ...] = ()
) -> Made:
    """Write ``cells`` as they will be in a slide's files to ``path``, with suffixes.

    Parameters
    ----------
    path : Path
        Without suffix.
    cells : Instances
        In level-0 pixels; :func:`block_cells` of them, fewer at the end. There may be none.
    info : SlideInfo
        The slide; its resolution must be known.
    spec : AnnotationSpec
        Origin, and cells in a part, of the GeoJSON.
    earlier : tuple of int
        Keys of cells in earlier blocks whose outlines come again here, as often as they were there.

    Raises
    ------
    MissingScaleError
        If the slide's resolution is not known.
    GeoJSONError
        If QuPath would refuse a class name.
    OutputDiskError
        If the disk is full, read-only or broken.
    """
    for name in cells.classes:
        classification(name)
    ids = CellIds(info.identity, earlier)
    starts = range(0, max(len(cells), 1), MEASURED_CELLS)
    measured = (cells.part(start, min(start + MEASURED_CELLS, len(cells))) for start in starts)
    table = CellTable.concat([prepare_cells(part, info.scale, ids) for part in measured])
    parts = []
    with atomic_file(path.with_suffix(".geojson"), lasting=False) as file:
        for part in geojson_parts(table, info, spec):
            file.write(part.packed)
            parts.append((len(part.packed), part.size, part.crc))
    group = row_group(table)
    with atomic_file(path.with_suffix(".arrow"), lasting=False) as file, pa.ipc.new_file(file, group.schema) as writer:
        writer.write_table(group)
    return Made(path, Written(len(table), table.repaired, table.dropped), table.keys, tuple(parts))


@contextmanager
def cell_files(geojson: Path, parquet: Path, info: SlideInfo) -> Iterator[Callable[[Made], None]]:
    """Write both files of a slide, ``cells.geojson.zip`` and ``cells.parquet``; they appear when they are whole.

    The context gives a function that takes the blocks of the slide, in their order; at least one.

    Raises
    ------
    StoreError
        If a block's files cannot be read.
    GeoJSONError
        If what was written cannot be read back.
    """
    with cells_geojson(geojson) as add_part, cells_parquet(parquet, info) as add_group:

        def add(made: Made) -> None:
            for part in _parts(made):
                add_part(part)
            add_group(_group(made))

        yield add


def _parts(made: Made) -> Iterator[Part]:
    path = made.path.with_suffix(".geojson")
    try:
        with open(path, "rb") as file:
            for length, size, crc in made.parts:
                packed = file.read(length)
                if len(packed) != length:
                    raise StoreError(f"{path} is cut off; run again")
                yield Part(packed, size, crc)
    except OSError as error:
        raise StoreError(f"{path} cannot be read: {error}; run again") from error


def _group(made: Made) -> Any:
    path = made.path.with_suffix(".arrow")
    try:
        return pa.ipc.open_file(pa.py_buffer(path.read_bytes())).read_all()
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(f"{path} cannot be read: {error}; run again") from error
