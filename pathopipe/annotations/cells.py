"""The cells as they are written: tables, from which the GeoJSON and the GeoParquet file are both made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathopipe.annotations.ids import CellIds, Keys
from pathopipe.annotations.measure import Column, shape_columns
from pathopipe.annotations.valid import on_grid
from pathopipe.instances import Instances
from pathopipe.slide.base import Scale

DECIMALS = 3
"""Of the measurements; QuPath keeps them as float32."""


@dataclass(frozen=True)
class CellTable:
    """Cells ready to be written: outlines on the files' grid and valid, measured, each with its id."""

    cells: Instances
    """(n,) outlines in level-0 pixels, as written, in the order of the files."""
    ids: NDArray[np.bytes_]
    """(n,) S36, the text of a UUIDv5 each; unique."""
    keys: Keys
    """(n,) equal for cells whose outlines are."""
    columns: Mapping[str, Column]
    """Name (snake_case with its unit) to (n,) values as written; NaN where there is none."""
    repaired: int
    """How many outlines crossed themselves after rounding and were cut to their largest piece."""
    dropped: int
    """How many had no area left after rounding; they are not in the table."""

    def __len__(self) -> int:
        return len(self.cells)

    @classmethod
    def concat(cls, parts: list[CellTable]) -> CellTable:
        """Return all ``parts`` in order; at least one."""
        if len(parts) == 1:
            return parts[0]
        return cls(
            cells=Instances.concat(part.cells for part in parts),
            ids=np.concatenate([part.ids for part in parts]),
            keys=np.concatenate([part.keys for part in parts]),
            columns={name: np.concatenate([part.columns[name] for part in parts]) for name in parts[0].columns},
            repaired=sum(part.repaired for part in parts),
            dropped=sum(part.dropped for part in parts),
        )

    def parts(self, size: int) -> Iterator[CellTable]:
        """Yield ``size`` rows after the other, the last time fewer."""
        return (self._part(start, min(start + size, len(self))) for start in range(0, len(self), size))

    def _part(self, start: int, end: int) -> CellTable:
        """Return rows ``start`` to ``end`` (exclusive); what was repaired and dropped is not told of a part."""
        columns = {name: values[start:end] for name, values in self.columns.items()}
        return CellTable(self.cells.part(start, end), self.ids[start:end], self.keys[start:end], columns, 0, 0)


def prepare_cells(cells: Instances, scale: Scale, ids: CellIds) -> CellTable:
    """Return ``cells`` (level-0 pixels), some of a slide's, as they are written.

    Outlines are rounded to 0.1 px, and repaired or dropped where that leaves them invalid; both are counted in the
    table. Measured is what is written, so who measures the files' outlines gets the files' values.

    Parameters
    ----------
    cells : Instances
        Some thousand at a time are fastest.
    scale : Scale
        The slide's.
    ids : CellIds
        The slide's; cells must come in the order of the files.
    """
    written = on_grid(cells.outlines)
    kept = cells.take(written.index).with_outlines(written.outlines)
    columns: dict[str, NDArray[np.floating]] = {**shape_columns(kept.outlines, scale.x, scale.y), "score": kept.score}
    columns.update(kept.measurements)
    names, keys = ids.of(kept.outlines)
    return CellTable(
        cells=kept,
        ids=names,
        keys=keys,
        columns={name: _rounded(each) for name, each in columns.items()},
        repaired=written.repaired,
        dropped=written.dropped,
    )


def _rounded(values: NDArray[np.floating]) -> Column:
    exact = np.asarray(values, np.float64)
    return np.where(np.isfinite(exact), np.round(exact, DECIMALS), np.nan)
