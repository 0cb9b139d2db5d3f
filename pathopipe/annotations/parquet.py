"""``cells.parquet``: the same cells as GeoParquet, for Python, R and geographic tools."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pathopipe.annotations.cells import CellTable
from pathopipe.annotations.valid import PER_PX, tenths
from pathopipe.edges import closing
from pathopipe.files import atomic_file
from pathopipe.geometry import Outlines
from pathopipe.slide.base import SlideInfo

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_BBOX = pa.struct([pa.field(name, pa.float64(), nullable=False) for name in _SIDES])


@contextmanager
def cells_parquet(path: Path, info: SlideInfo) -> Iterator[Callable[[Any], None]]:
    """Write cells as GeoParquet 1.1.

    Columns: ``id``; ``class``; ``centroid_x`` and ``centroid_y`` in level-0 pixels; the table's measurements, null
    where there is none; ``geometry``, polygons as WKB in level-0 pixels whatever ``annotations.coords`` says; ``bbox``.

    The context gives a function that takes what :func:`row_group` made, in order; at least one, which may be empty. The
    file appears at the end, when it is whole.
    """
    with atomic_file(path) as file:
        groups = _RowGroups(file)
        try:
            yield groups.add
            groups.finish(info)
        finally:
            groups.close()


class _RowGroups:
    """Row groups go to the file, and what is told of the whole comes last."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._writer: Any = None
        self._low, self._high = np.full(2, np.inf), np.full(2, -np.inf)

    def add(self, group: Any) -> None:
        """Take further cells."""
        if self._writer is None:
            numbers = [name for name in group.schema.names if name not in ("id", "geometry", "bbox")]
            self._writer = pq.ParquetWriter(
                self._file,
                group.schema,
                compression="zstd",
                # The schema proper is not stored: with it, readers would overlook what is told of the whole at the end.
                store_schema=False,
                use_dictionary=["class"],  # no other value comes twice
                write_statistics=[*numbers, *(f"bbox.{side}" for side in _SIDES)],
            )
        if len(group):
            sides = [side.to_numpy() for side in group["bbox"].combine_chunks().flatten()]
            self._low = np.minimum(self._low, [side.min() for side in sides[:2]])
            self._high = np.maximum(self._high, [side.max() for side in sides[2:]])
            self._writer.write_table(group)

    def finish(self, info: SlideInfo) -> None:
        """Write what is told of the whole."""
        slide = {"slide": info.identity, "unit": "level-0 pixel", "mpp_x": info.scale.x, "mpp_y": info.scale.y}
        bounds = [*self._low.tolist(), *self._high.tolist()]
        geo = _geo(bounds if np.isfinite(bounds).all() else None)
        self._writer.add_key_value_metadata({"geo": json.dumps(geo), "pathopipe": json.dumps(slide)})

    def close(self) -> None:
        """End the file, after an error too: else the writer would do it later, to a file that is closed."""
        if self._writer is not None:
            self._writer.close()


def _geo(bounds: list[float] | None) -> dict[str, Any]:
    """Return GeoParquet's metadata; None where there are no cells."""
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": ["Polygon"] if bounds else [],
        "crs": None,
        "edges": "planar",
        "covering": {"bbox": {name: ["bbox", name] for name in _SIDES}},
    }
    if bounds:
        column["bbox"] = bounds
    return {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}


def _schema(table: CellTable) -> Any:
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("class", pa.string(), nullable=False),
            pa.field("centroid_x", pa.float64(), nullable=False),
            pa.field("centroid_y", pa.float64(), nullable=False),
            *(pa.field(name, pa.float64()) for name in table.columns),
            pa.field("geometry", pa.binary(), nullable=False),
            pa.field("bbox", _BBOX, nullable=False),
        ]
    )


def row_group(table: CellTable) -> Any:
    """Return cells as an Arrow table, to be a row group: readers skip those whose ``bbox`` they do not need."""
    cells, number = table.cells, len(table)
    bounds = tenths(cells.outlines.bounds()) / PER_PX
    x, y = np.round(cells.outlines.centroids(), 2).T
    classes = pa.DictionaryArray.from_arrays(pa.array(cells.class_id), pa.array(cells.classes, pa.string()))
    ids = pa.py_buffer(np.ascontiguousarray(table.ids)), pa.py_buffer(np.arange(number + 1, dtype=np.int32) * 36)
    columns = [
        pa.StringArray.from_buffers(number, ids[1], ids[0]),
        classes.dictionary_decode(),
        pa.array(x),
        pa.array(y),
        *(pa.array(values, from_pandas=True) for values in table.columns.values()),
        _polygons(cells.outlines),
        pa.StructArray.from_arrays([pa.array(bounds[:, side]) for side in range(4)], fields=list(_BBOX)),
    ]
    return pa.Table.from_arrays(columns, schema=_schema(table))


def _polygons(outlines: Outlines) -> Any:
    """Return (n,) the outlines as WKB: byte order, kind of shape (3, a polygon), rings (1), points, and their x, y."""
    points = np.diff(outlines.offsets) + 1
    xy = (tenths(outlines.coords) / PER_PX)[closing(outlines.offsets)].astype("<f8").tobytes()
    ends = (16 * np.cumsum(points)).tolist()
    heads = {count: struct.pack("<BIII", 1, 3, 1, count) for count in np.unique(points).tolist()}
    pieces = [(heads[count], xy[end - 16 * count : end]) for count, end in zip(points.tolist(), ends, strict=True)]
    offsets = np.zeros(len(outlines) + 1, np.int32)
    np.cumsum(16 * points + 13, out=offsets[1:])
    text = b"".join(chain.from_iterable(pieces))
    return pa.BinaryArray.from_buffers(pa.binary(), len(outlines), [None, pa.py_buffer(offsets), pa.py_buffer(text)])
