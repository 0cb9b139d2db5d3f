"""``cells.parquet``: the same cells as GeoParquet, for Python, R and geographic tools."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely

from pathopipe.annotations.cells import CellTable
from pathopipe.annotations.valid import PER_PX, tenths
from pathopipe.files import atomic_file

GROUP_CELLS = 20_000
"""Cells of a row group; a reader can skip those whose ``bbox`` it does not need."""
_BBOX = pa.struct([pa.field(name, pa.float64(), nullable=False) for name in ("xmin", "ymin", "xmax", "ymax")])


def write_cells_parquet(path: Path, table: CellTable) -> None:
    """Write the cells of ``table``, in its order, as GeoParquet 1.1.

    Columns: ``id``; ``class``; ``centroid_x`` and ``centroid_y`` in level-0 pixels; the table's measurements, null
    where there is none; ``geometry``, polygons as WKB in level-0 pixels whatever ``annotations.coords`` says; ``bbox``.
    The same cells give the same bytes.
    """
    schema = _schema(table)
    with atomic_file(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for start in range(0, len(table), GROUP_CELLS):
            writer.write_table(_group(table, start, min(start + GROUP_CELLS, len(table)), schema))


def _schema(table: CellTable) -> Any:
    geo = {
        "version": "1.1.0",
        "primary_column": "geometry",
        "columns": {
            "geometry": {
                "encoding": "WKB",
                "geometry_types": ["Polygon"] if len(table) else [],
                "crs": None,
                "edges": "planar",
                "covering": {"bbox": {name: ["bbox", name] for name in ("xmin", "ymin", "xmax", "ymax")}},
            }
        },
    }
    if len(table):
        low, high = table.cells.outlines.coords.min(axis=0), table.cells.outlines.coords.max(axis=0)
        geo["columns"]["geometry"]["bbox"] = (tenths(np.concatenate([low, high])) / PER_PX).tolist()  # type: ignore[index]
    slide = {"slide": table.identity, "unit": "level-0 pixel", "mpp_x": table.mpp_x, "mpp_y": table.mpp_y}
    return pa.schema(
        [
            pa.field("id", pa.string(), nullable=False),
            pa.field("class", pa.string(), nullable=False),
            pa.field("centroid_x", pa.float64(), nullable=False),
            pa.field("centroid_y", pa.float64(), nullable=False),
            *(pa.field(name, pa.float64()) for name in table.columns),
            pa.field("geometry", pa.binary(), nullable=False),
            pa.field("bbox", _BBOX, nullable=False),
        ],
        metadata={"geo": json.dumps(geo), "pathopipe": json.dumps(slide)},
    )


def _group(table: CellTable, start: int, end: int, schema: Any) -> Any:
    index = np.arange(start, end)
    cells = table.cells.take(index)
    grid = cells.outlines.with_coords(tenths(cells.outlines.coords))
    polygons = shapely.transform(grid.to_shapely(), lambda xy: xy / PER_PX)
    bounds = shapely.bounds(polygons)
    x, y = np.round(cells.outlines.centroids(), 2).T
    classes = pa.DictionaryArray.from_arrays(pa.array(cells.class_id), pa.array(cells.classes, pa.string()))
    columns = [
        pa.array(table.ids[start:end].astype("U36"), pa.string()),
        classes.dictionary_decode(),
        pa.array(x),
        pa.array(y),
        *(pa.array(values[start:end], from_pandas=True) for values in table.columns.values()),
        pa.array(shapely.to_wkb(polygons), pa.binary()),
        pa.StructArray.from_arrays([pa.array(bounds[:, side]) for side in range(4)], fields=list(_BBOX)),
    ]
    return pa.Table.from_arrays(columns, schema=schema)
