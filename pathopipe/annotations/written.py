"""The cells of a slide as its ``cells.parquet`` has them: what scores and pictures are made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import shapely
from numpy.typing import NDArray

from pathopipe.errors import StoreError
from pathopipe.geometry import Outlines, Rect
from pathopipe.instances import Instances


@dataclass(frozen=True)
class WrittenCells:
    """n cells: some columns of all of them, and the outlines of those asked for. About 30 bytes a cell."""

    classes: tuple[str, ...]
    class_id: NDArray[np.uint8]
    """(n,) index into ``classes``."""
    score: NDArray[np.float32]
    """(n,) the model's confidence, 0 to 1."""
    area_um2: NDArray[np.float64]
    """(n,)"""
    centroids: NDArray[np.float64]
    """(n, 2) x, y in level-0 pixels."""
    within: Callable[[Rect], Instances]
    """Takes a rectangle (level-0 pixels) and returns the cells whose bounding box meets it, in the file's order."""

    @classmethod
    def read(cls, path: Path, classes: tuple[str, ...]) -> Self:
        """Read ``cells.parquet``; ``classes`` are the model's.

        Raises
        ------
        StoreError
            If the file cannot be read, or has a class that is none of ``classes``.
        """
        names = ["class", "score", "area_um2", "centroid_x", "centroid_y"]
        try:
            table = pq.read_table(path, columns=names, read_dictionary=["class"])
        except (OSError, pa.ArrowInvalid) as error:
            raise StoreError(f"{path} cannot be read: {error}; run again") from error
        return cls(
            classes=classes,
            class_id=_class_ids(table["class"], classes, path),
            score=table["score"].to_numpy().astype(np.float32),
            area_um2=table["area_um2"].to_numpy(),
            centroids=np.stack([table["centroid_x"].to_numpy(), table["centroid_y"].to_numpy()], axis=1),
            within=partial(_within, path, classes),
        )

    def __len__(self) -> int:
        return len(self.class_id)


def _within(path: Path, classes: tuple[str, ...], rect: Rect) -> Instances:
    """Return the cells in ``path`` whose bounding box meets ``rect``; other row groups are not read."""
    parts = [Instances.empty(classes)]
    with pq.ParquetFile(path, read_dictionary=["class"]) as file:
        for number in range(file.num_row_groups):
            if not _meets(rect, *_extent(file.metadata.row_group(number))):
                continue
            table = file.read_row_group(number, columns=["class", "score", "bbox", "geometry"])
            sides = [side.to_numpy() for side in table["bbox"].combine_chunks().flatten()]
            table = table.take(np.flatnonzero(_meets(rect, *sides)))
            outlines = _outlines(shapely.from_wkb(table["geometry"].to_numpy()))
            score = table["score"].to_numpy().astype(np.float32)
            parts.append(Instances(outlines, score, _class_ids(table["class"], classes, path), classes))
    return Instances.concat(parts)


def _extent(group: Any) -> list[float]:
    """Return xmin, ymin, xmax, ymax of a row group, from its statistics."""
    columns = [group.column(index) for index in range(group.num_columns)]
    found = {column.path_in_schema: column.statistics for column in columns}
    low, high = ([f"bbox.{axis}{side}" for axis in "xy"] for side in ("min", "max"))
    return [*(found[name].min for name in low), *(found[name].max for name in high)]


def _meets(rect: Rect, x0: Any, y0: Any, x1: Any, y1: Any) -> Any:
    return (x1 > rect.x0) & (x0 < rect.x1) & (y1 > rect.y0) & (y0 < rect.y1)


def _outlines(polygons: NDArray[np.object_]) -> Outlines:
    if not len(polygons):
        return Outlines.empty()
    _, coords, (rings, _) = shapely.to_ragged_array(polygons)
    last = np.zeros(len(coords), np.bool_)
    last[rings[1:] - 1] = True  # the first vertex once more
    return Outlines(coords[~last].astype(np.float32), (rings - np.arange(len(rings))).astype(np.int64))


def _class_ids(column: Any, classes: tuple[str, ...], path: Path) -> NDArray[np.uint8]:
    number = {name: index for index, name in enumerate(classes)}
    parts = [np.zeros(0, np.uint8)]
    for chunk in column.chunks:
        names = chunk.dictionary.to_pylist()
        if not set(names) <= set(classes):
            raise StoreError(f"{path} has cells of the classes {names}, and the model has {list(classes)}; run again")
        ids = np.array([number[name] for name in names], np.uint8)
        parts.append(ids[chunk.indices.to_numpy()])
    return np.concatenate(parts)
