"""Cells of some tiles that are to be written, without a slide and without a model."""

from __future__ import annotations

import os
import signal
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from unittest import mock

import numpy as np

from pathopipe.annotations.geojson import geojson_parts
from pathopipe.annotations.spec import AnnotationSpec
from pathopipe.annotations.write import cell_files
from pathopipe.engine.blocks import Block, WriteBlock, in_blocks, write_blocks
from pathopipe.files import temporary_folder
from pathopipe.models.stain import COLOURS
from pathopipe.store.instances import InstanceStore
from pathopipe.tiling.grid import GridSpec, TileGrid
from tests.support.written import drawn_cells, slide_info

INFO = slide_info()
BLOCK, PART = 60, 20


def stored(folder: Path, *tiles):
    """Store ``tiles`` (Instances, one a tile) in ``folder`` and return the store, and every second cell of each."""
    grid, store = TileGrid.cover(10_000, 100, GridSpec(tile_px=64, halo_px=0), 0), InstanceStore(folder, "drawn")
    found = []
    for tile, cells in zip(grid, tiles, strict=False):
        dark = np.zeros(len(cells), np.float32)
        store.put(tile, cells.with_measurements(**dict.fromkeys(COLOURS, dark)))
        found.append((tile, np.arange(0, len(cells), 2, dtype=np.int32)))
    return store, found


def some_tiles(folder: Path):
    """Store eight tiles with 500 cells or so, two of them without any."""
    none = drawn_cells(100).take(np.zeros(0, int))
    tiles = [none if number in (0, 3) else drawn_cells(150 + 30 * number, seed=number) for number in range(8)]
    return stored(folder, *tiles)


def write(store, found, out: Path, engine, change=lambda task: task):
    """Write ``found`` to the files in ``out``, and return their bytes and the counts."""
    out.mkdir(exist_ok=True)
    with temporary_folder(out / "blocks.tmp") as folder, cell_files(out / "c.zip", out / "c.parquet", INFO) as add:
        task = WriteBlock(store.folder, store.fingerprint, ("Nucleus",), folder, INFO, AnnotationSpec(part_cells=PART))
        counts = write_blocks(change(task), in_blocks(iter(found), BLOCK), engine, add)
    assert sorted(path.name for path in out.iterdir()) == ["c.parquet", "c.zip"]
    return (out / "c.zip").read_bytes(), (out / "c.parquet").read_bytes(), counts


@dataclass(frozen=True)
class DiesWriting:
    """Ends its process in the middle of a block's file: once, or whenever it comes to that block."""

    task: WriteBlock
    mark: Path
    always: bool = False

    def __call__(self, block: Block):
        if block.number == 1 and (self.always or not self.mark.exists()):
            self.mark.touch()
            with mock.patch("pathopipe.annotations.write.geojson_parts", _dies):
                self.task(block)
        return self.task(block)


def dies_writing(mark: Path, *, always: bool = False):
    """Return what makes of a task one that ends its process."""
    return partial(DiesWriting, mark=mark, always=always)


def _dies(*given):
    yield from islice(geojson_parts(*given), 2)
    os.kill(os.getpid(), signal.SIGKILL)
