"""The cells of a slide become its two files, some thousand at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pathopipe.annotations.cells import prepare_cells
from pathopipe.annotations.colours import classification
from pathopipe.annotations.geojson import cells_geojson
from pathopipe.annotations.ids import CellIds
from pathopipe.annotations.parquet import cells_parquet
from pathopipe.annotations.spec import AnnotationSpec
from pathopipe.instances import Instances
from pathopipe.slide.base import SlideInfo

BLOCK_CELLS = 2_000
"""Cells that are measured at a time, at least: fewer are gathered first."""


class Written(NamedTuple):
    """How many cells there were."""

    cells: int
    """In the files."""
    repaired: int
    """Of these, whose outline crossed itself after rounding and was cut to its largest piece."""
    dropped: int
    """Whose outline had no area left after rounding; they are in no file."""


def write_cells(
    geojson: Path, parquet: Path, cells: Iterable[Instances], info: SlideInfo, spec: AnnotationSpec
) -> Written:
    """Write ``cells`` to both files, in their order; the files appear when they are whole.

    Memory does not grow with the number of cells, but for eight bytes each.

    Parameters
    ----------
    geojson, parquet : Path
        The files, ``cells.geojson.zip`` and ``cells.parquet``.
    cells : iterable of Instances
        In level-0 pixels, of the same classes and measurements, taken one by one; at least one, which may be empty.
        The files do not depend on how the cells are divided.
    info : SlideInfo
        The slide; its resolution must be known.
    spec : AnnotationSpec
        Origin, and cells in a part, of the GeoJSON.

    Raises
    ------
    MissingScaleError
        If the slide's resolution is not known.
    GeoJSONError
        If QuPath would refuse a class name, or what was written cannot be read back.
    """
    ids, counts = CellIds(info.identity), Written(0, 0, 0)
    with cells_geojson(geojson, info, spec) as add_geojson, cells_parquet(parquet, info) as add_parquet:
        for block in _gathered(cells):
            for name in block.classes:
                classification(name)
            table = prepare_cells(block, info.scale, ids)
            add_geojson(table)
            add_parquet(table)
            added = (len(table), table.repaired, table.dropped)
            counts = Written(*(count + more for count, more in zip(counts, added, strict=True)))
    return counts


def _gathered(parts: Iterable[Instances]) -> Iterator[Instances]:
    held: list[Instances] = []
    for part in parts:
        held.append(part)
        if sum(map(len, held)) >= BLOCK_CELLS:
            yield Instances.concat(held)
            held = []
    if held:
        yield Instances.concat(held)
