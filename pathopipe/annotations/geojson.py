"""``cells.geojson.zip``: the cells for QuPath, in parts that it imports one by one in little memory."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from pathopipe.annotations.cells import CellTable
from pathopipe.annotations.colours import classification
from pathopipe.annotations.measure import LABELS
from pathopipe.annotations.palette import palette
from pathopipe.annotations.spec import AnnotationSpec, origin
from pathopipe.annotations.valid import PER_PX, tenths
from pathopipe.errors import GeoJSONError
from pathopipe.files import atomic_file
from pathopipe.slide.base import SlideInfo

BLOCK_CELLS = 2_000
"""Cells that are turned into JSON at a time; bounds the memory."""
LEVEL = 4
"""Of the compression: 4 writes twice as fast as 6 and is 5 % larger."""
HEAD, TAIL = b'{"type":"FeatureCollection","features":[\n', b"\n]}\n"


def write_cells_geojson(path: Path, table: CellTable, info: SlideInfo, spec: AnnotationSpec) -> None:
    """Write the cells as a .zip of FeatureCollections, ``part-0001.geojson`` and so on, in the table's order.

    Cells are of QuPath's light kind (``objectType`` "detection"), each with its class, colour and measurements.
    Coordinates have one decimal. The same cells give the same bytes, on any day and machine with the same zlib.

    Parameters
    ----------
    path : Path
        The file; it appears when it is whole.
    table : CellTable
        The cells.
    info : SlideInfo
        The slide, for the origin of ``coords="qupath"``.
    spec : AnnotationSpec
        Origin, and cells in a part.

    Raises
    ------
    GeoJSONError
        If what was written cannot be read back.
    """
    x, y = origin(info, spec)
    starts = range(0, max(len(table), 1), spec.part_cells)
    ends = [min(start + spec.part_cells, len(table)) for start in starts]
    with atomic_file(path) as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL) as archive:
            for number, (start, end) in enumerate(zip(starts, ends, strict=True), 1):
                # By its name, not as a ZipInfo: then it is dated 1980, and gets the archive's level of compression.
                with archive.open(f"part-{number:04d}.geojson", "w") as part:
                    part.write(HEAD)
                    for block in _blocks(table, start, end, (x, y)):
                        part.write(block)
                    part.write(TAIL)
        file.flush()
        _check(Path(file.name))


def _blocks(table: CellTable, start: int, end: int, shift: tuple[int, int]) -> Iterator[bytes]:
    """Yield the features from ``start`` to ``end`` as JSON, without the brackets around them."""
    colours = palette(table.cells.classes)
    classes = [
        orjson.Fragment(orjson.dumps({**classification(name), "color": colours[name]})) for name in table.cells.classes
    ]
    for first in range(start, end, BLOCK_CELLS):
        features = _features(table, first, min(first + BLOCK_CELLS, end), shift, classes)
        lines = orjson.dumps(features, option=orjson.OPT_SERIALIZE_NUMPY)
        yield (b",\n" if first > start else b"") + lines[1:-1]


def _features(
    table: CellTable, start: int, end: int, shift: tuple[int, int], classes: list[orjson.Fragment]
) -> list[dict[str, Any]]:
    outlines = table.cells.outlines
    offsets = outlines.offsets[start : end + 1] - outlines.offsets[start]
    coords = outlines.coords[outlines.offsets[start] : outlines.offsets[end]]
    grid = tenths(coords) - np.array(shift) * PER_PX
    # Every ring gets its first vertex once more at its end; whole tenths divided give the shortest decimals.
    closed = np.ascontiguousarray(np.insert(grid, offsets[1:], grid[offsets[:-1]], axis=0) / PER_PX)
    bounds = (offsets + np.arange(len(offsets))).tolist()
    labels = [LABELS.get(name, name) for name in table.columns]
    rows = np.stack([values[start:end] for values in table.columns.values()], axis=1).tolist()
    ids = table.ids[start:end].astype("U36").tolist()
    class_ids = table.cells.class_id[start:end].tolist()
    return [
        {
            "type": "Feature",
            "id": ids[cell],
            "geometry": {"type": "Polygon", "coordinates": [closed[bounds[cell] : bounds[cell + 1]]]},
            "properties": {
                "objectType": "detection",
                "classification": classes[class_ids[cell]],
                # value == value leaves out NaN: what could not be measured is absent.
                "measurements": {
                    label: value for label, value in zip(labels, rows[cell], strict=True) if value == value
                },
            },
        }
        for cell in range(end - start)
    ]


def _check(path: Path) -> None:
    """Read the file back: QuPath skips a part that it cannot read without a word, so it is found out here.

    Raises
    ------
    GeoJSONError
        If a part is not what was written.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            broken = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, OSError) as error:
        raise GeoJSONError(f"{path.name} cannot be read back after writing ({error}); is the disk full?") from error
    if broken is not None:
        raise GeoJSONError(f"{broken} in {path.name} is damaged after writing; is the disk full?")
