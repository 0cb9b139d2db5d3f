"""Slides and cells to write, without a slide file."""

from __future__ import annotations

import numpy as np

from pathopipe.annotations.cells import prepare_cells
from pathopipe.annotations.geojson import cells_geojson, geojson_parts
from pathopipe.annotations.ids import CellIds
from pathopipe.annotations.parquet import cells_parquet, row_group
from pathopipe.annotations.spec import AnnotationSpec
from pathopipe.annotations.write import cell_files, make_block
from pathopipe.geometry import Box, Outlines
from pathopipe.instances import Instances
from pathopipe.slide.base import Scale, SlideInfo
from tests.support.drawn import draw_nuclei


def slide_info(width=4000, height=3000, mpp_x=0.25, mpp_y=0.25, bounds=None, identity="5f0c"):
    return SlideInfo(
        path="drawn.svs",
        reader="drawn",
        width=width,
        height=height,
        levels=(),
        scale_found=Scale(mpp_x, mpp_y, "given by the user"),
        scale_problem="",
        objective=40.0,
        vendor="aperio",
        bounds=None if bounds is None else Box(*bounds),
        identity=identity,
        unusual=(),
    )


def cells_of(outlines, classes=("Nucleus",), seed=0):
    rng = np.random.default_rng(seed)
    od = rng.uniform(0.1, 1.2, len(outlines)).astype(np.float32)
    return Instances(
        outlines,
        rng.uniform(0.4, 1, len(outlines)).astype(np.float32),
        rng.integers(0, len(classes), len(outlines)).astype(np.uint8),
        classes,
        {"hematoxylin_od_mean": od},
    )


def drawn_cells(side=300, classes=("Nucleus",), offset=(0.0, 0.0), seed=0):
    truth = draw_nuclei(np.random.default_rng(seed), side)
    return cells_of(truth.with_coords(truth.coords + np.array(offset)), classes, seed)


def ring_cells(*rings, classes=("Nucleus",)):
    return cells_of(Outlines.of(np.asarray(ring, float) for ring in rings), classes)


def table_of(cells, info):
    """Return all cells of a slide as one table."""
    return prepare_cells(cells, info.scale, CellIds(info.identity))


def write_geojson(path, table, info, spec=None):
    with cells_geojson(path) as add:
        for part in geojson_parts(table, info, spec or AnnotationSpec()):
            add(part)


def write_parquet(path, table, info, group_cells=20_000):
    with cells_parquet(path, info) as add:
        for part in table.parts(group_cells) if len(table) else [table]:
            add(row_group(part))


def write_both(geojson, parquet, blocks, info, spec=None):
    """Write a slide whose cells come in ``blocks``, made last to first, to both files."""
    made = [
        make_block(geojson.parent / f"{number}", block, info, spec or AnnotationSpec())
        for number, block in reversed(list(enumerate(blocks)))
    ]
    with cell_files(geojson, parquet, info) as add:
        for each in reversed(made):
            add(each)
            each.remove()
    return made[::-1]
