"""The cells as they are written: one table, from which the GeoJSON and the GeoParquet file are both made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pathopipe.annotations.colours import classification
from pathopipe.annotations.ids import cell_ids
from pathopipe.annotations.measure import Column, shape_columns
from pathopipe.annotations.valid import on_grid
from pathopipe.instances import Instances
from pathopipe.slide.base import SlideInfo

DECIMALS = 3
"""Of the measurements; QuPath keeps them as float32."""
BLOCK_CELLS = 20_000
"""Cells that are measured at a time; bounds the memory that this takes besides the result."""


@dataclass(frozen=True)
class CellTable:
    """Cells ready to be written: outlines on the files' grid and valid, measured, each with its id."""

    cells: Instances
    """(n,) outlines in level-0 pixels, as written, in the order of the files."""
    ids: NDArray[np.bytes_]
    """(n,) S36, the text of a UUIDv5 each; unique."""
    columns: Mapping[str, Column]
    """Name (snake_case with its unit) to (n,) values as written; NaN where there is none."""
    identity: str
    """Of the slide."""
    mpp_x: float
    """µm per level-0 pixel in x."""
    mpp_y: float
    """The same in y."""
    repaired: int
    """How many outlines crossed themselves after rounding and were cut to their largest piece."""
    dropped: int
    """How many had no area left after rounding; they are not in the table."""

    def __len__(self) -> int:
        return len(self.cells)


def prepare_cells(cells: Instances, info: SlideInfo) -> CellTable:
    """Return ``cells`` (level-0 pixels) as they are written.

    Outlines are rounded to 0.1 px, and repaired or dropped where that leaves them invalid; both are counted in the
    table. Measured is what is written, so who measures the files' outlines gets the files' values.

    Raises
    ------
    MissingScaleError
        If the slide's resolution is not known.
    GeoJSONError
        If QuPath would refuse a class name.
    """
    for name in cells.classes:
        classification(name)
    scale = info.scale
    blocks = [
        _block(cells.take(np.arange(start, min(start + BLOCK_CELLS, len(cells)))), scale.x, scale.y)
        for start in range(0, max(len(cells), 1), BLOCK_CELLS)
    ]
    kept = Instances.concat(block.cells for block in blocks)
    return CellTable(
        cells=kept,
        ids=cell_ids(info.identity, kept.outlines),
        columns={name: np.concatenate([block.columns[name] for block in blocks]) for name in blocks[0].columns},
        identity=info.identity,
        mpp_x=scale.x,
        mpp_y=scale.y,
        repaired=sum(block.repaired for block in blocks),
        dropped=sum(block.dropped for block in blocks),
    )


class _Block(NamedTuple):
    cells: Instances
    columns: dict[str, Column]
    repaired: int
    dropped: int


def _block(cells: Instances, mpp_x: float, mpp_y: float) -> _Block:
    written = on_grid(cells.outlines)
    kept = cells.take(written.index).with_outlines(written.outlines)
    columns: dict[str, NDArray[np.floating]] = {**shape_columns(kept.outlines, mpp_x, mpp_y), "score": kept.score}
    columns.update(kept.measurements)
    return _Block(kept, {name: _rounded(each) for name, each in columns.items()}, written.repaired, written.dropped)


def _rounded(values: NDArray[np.floating]) -> Column:
    exact = np.asarray(values, np.float64)
    return np.where(np.isfinite(exact), np.round(exact, DECIMALS), np.nan)
