from __future__ import annotations

import json
import pickle
import zipfile

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.annotations.ids import CellIds
from pathopipe.engine.blocks import Block, in_blocks
from pathopipe.engine.serial import SerialExecutor
from pathopipe.errors import ClusterError, StoreError
from pathopipe.instances import Instances
from pathopipe.tiling.grid import GridSpec, TileGrid
from tests.support.blocks import BLOCK, INFO, PART, some_tiles, stored, write
from tests.support.written import drawn_cells, ring_cells


class Backwards(SerialExecutor):
    """Does the last item first."""

    def each(self, task, items, done, lost=None):
        super().each(task, reversed(list(items)), done, lost)


def ids_of(out):
    with zipfile.ZipFile(out / "c.zip") as archive:
        read = [json.loads(archive.read(entry))["features"] for entry in archive.infolist()]
    ids = [feature["id"] for features in read for feature in features]
    assert ids == pq.read_table(out / "c.parquet")["id"].to_pylist()
    return ids, [len(features) for features in read]


@settings(deadline=None, max_examples=100)
@given(st.lists(st.integers(0, 30), max_size=9), st.integers(1, 40))
def test_blocks_are_of_one_size_and_hold_every_cell_in_order(counts, size):
    tiles = list(TileGrid.cover(1000, 10, GridSpec(tile_px=64, halo_px=0), 0))
    found = [(tile, np.arange(count, dtype=np.int32)) for tile, count in zip(tiles, counts, strict=False)]
    blocks = list(in_blocks(found, size))
    assert [block.number for block in blocks] == list(range(max(1, -(-sum(counts) // size))))
    sizes = [sum(len(index) for _, index in block.cells) for block in blocks]
    assert sum(sizes) == sum(counts)
    assert set(sizes[:-1]) <= {size}
    there = [(tile.name, place) for block in blocks for tile, index in block.cells for place in index.tolist()]
    assert there == [(tile.name, place) for tile, index in found for place in index.tolist()]
    assert bool(blocks[0].cells) == bool(found)


def test_a_block_is_small_and_says_where_it_is():
    tiles = list(TileGrid.cover(100_000, 100, GridSpec(tile_px=2048, halo_px=0), 0))
    blocks = list(in_blocks([(tile, np.arange(3_000, dtype=np.int32)) for tile in tiles], 20_000))
    assert max(len(pickle.dumps(block)) for block in blocks) < 100_000
    assert str(blocks[0]) == "cells of r0000_c0000 to r0000_c0006"
    assert str(Block(0, ())) == "cells of no tile"


def test_the_order_in_which_blocks_come_changes_nothing(tmp_path):
    store, found = some_tiles(tmp_path / "instances")
    one, two = (write(store, found, tmp_path / type(each).__name__, each) for each in (SerialExecutor(), Backwards()))
    assert one == two
    ids, sizes = ids_of(tmp_path / "Backwards")
    assert len(ids) == len(set(ids)) == one[2].cells == sum(len(index) for _, index in found) > 4 * BLOCK
    assert set(sizes[:-1]) == {PART}
    file = pq.ParquetFile(tmp_path / "Backwards" / "c.parquet")
    assert {file.metadata.row_group(group).num_rows for group in range(file.num_row_groups - 1)} == {BLOCK}
    assert not {"red_od_mean", "green_od_mean", "blue_od_mean", "black_part"} & set(file.schema_arrow.names)


@pytest.mark.parametrize("engine", [SerialExecutor(), Backwards()], ids=["in order", "backwards"])
def test_outlines_that_come_again_in_other_blocks_get_ids_of_their_own(tmp_path, engine):
    cells = drawn_cells(250)
    often = [cells.take(np.sort(np.resize(np.arange(len(cells)), 2 * len(cells)))) for _ in range(3)]
    store, found = stored(tmp_path / "instances", *often)
    write(store, found, tmp_path / "out", engine)
    expected = CellIds(INFO.identity).of(Instances.concat([cells] * 3).outlines)[0]
    ids, _ = ids_of(tmp_path / "out")
    assert len(set(ids)) == 3 * len(cells) > BLOCK
    assert ids == [each.decode() for each in expected]


def test_one_cell_is_one_part_and_one_row(tmp_path):
    store, found = stored(tmp_path / "instances", drawn_cells(100).take(np.arange(1)))
    assert write(store, found, tmp_path / "out", SerialExecutor())[2] == (1, 0, 0)
    assert ids_of(tmp_path / "out")[1] == [1]


def test_no_cells_and_no_tiles_are_empty_files(tmp_path):
    store, found = stored(tmp_path / "instances", drawn_cells(100).take(np.zeros(0, int)))
    assert write(store, found, tmp_path / "cells", SerialExecutor())[2] == (0, 0, 0)
    assert write(store, [], tmp_path / "tiles", SerialExecutor())[2] == (0, 0, 0)
    names = [pq.read_schema(tmp_path / out / "c.parquet").names for out in ("cells", "tiles")]
    assert set(names[0]) - set(names[1]) == {"hematoxylin_od_mean"}
    assert ids_of(tmp_path / "cells") == ids_of(tmp_path / "tiles") == ([], [0])


def test_what_is_dropped_leaves_its_part_smaller(tmp_path):
    thin = [(1, 1), (1, 1), (1, 1)]
    squares = [[(10 * x, 0), (10 * x + 8, 0), (10 * x + 8, 8), (10 * x, 8)] for x in range(99)]
    store, found = stored(tmp_path / "instances", ring_cells(*squares[:10], thin, thin, *squares[12:]))
    counts = write(store, found, tmp_path / "out", SerialExecutor())[2]
    assert counts == (49, 0, 1)
    assert ids_of(tmp_path / "out")[1] == [20, 20, 9]


def test_an_error_of_a_tile_or_of_a_worker_leaves_nothing(tmp_path):
    class Fails(SerialExecutor):
        def each(self, task, items, done, lost=None):
            super().each(task, list(items)[:2], done, lost)
            raise ClusterError("the scheduler went away")

    store, found = some_tiles(tmp_path / "instances")
    with pytest.raises(ClusterError):
        write(store, found, tmp_path / "out", Fails())
    damaged = store.folder / f"{found[-1][0].name}.npz"
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(StoreError, match="run again"):
        write(store, found, tmp_path / "out", SerialExecutor())
    assert list((tmp_path / "out").iterdir()) == []
    assert not damaged.exists()
