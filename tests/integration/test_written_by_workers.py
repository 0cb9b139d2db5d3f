"""Cells are the same bytes whoever writes them, and whatever happens to the workers meanwhile."""

from __future__ import annotations

import pytest

from pathopipe.engine.cluster import start_executor
from pathopipe.engine.serial import SerialExecutor
from pathopipe.engine.spec import EngineSpec
from pathopipe.errors import SlideError, StoreError
from tests.support.blocks import dies_writing, some_tiles, write


@pytest.fixture(scope="module")
def two_processes():
    with start_executor(EngineSpec(workers=2)) as executor:
        yield executor


@pytest.fixture
def cells(tmp_path):
    return some_tiles(tmp_path / "instances")


def test_one_process_two_workers_and_one_that_dies_write_the_same_bytes(cells, tmp_path, two_processes):
    alone = write(*cells, tmp_path / "alone", SerialExecutor())
    assert write(*cells, tmp_path / "two", two_processes) == alone
    mark = tmp_path / "died"
    assert write(*cells, tmp_path / "again", two_processes, dies_writing(mark)) == alone
    assert mark.exists()
    with start_executor(EngineSpec(workers=1)) as one:
        assert write(*cells, tmp_path / "one", one) == alone


def test_a_block_that_always_kills_its_worker_is_the_slides_error_and_the_workers_stay(cells, tmp_path, two_processes):
    with pytest.raises(SlideError, match=r"cells of r0000_c0002 .*ended the worker.*--workers"):
        write(*cells, tmp_path / "out", two_processes, dies_writing(tmp_path / "died", always=True))
    assert list((tmp_path / "out").iterdir()) == []
    assert write(*cells, tmp_path / "out", two_processes) == write(*cells, tmp_path / "alone", SerialExecutor())


def test_a_tile_that_is_damaged_is_told_by_the_worker_too(cells, tmp_path, two_processes):
    store, found = cells
    damaged = store.folder / f"{found[-1][0].name}.npz"
    damaged.write_bytes(damaged.read_bytes()[:100])
    with pytest.raises(StoreError, match="run again"):
        write(store, found, tmp_path / "out", two_processes)
    assert list((tmp_path / "out").iterdir()) == []
