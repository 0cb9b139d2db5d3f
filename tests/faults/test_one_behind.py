"""The finish of a slide while the tiles of the next are worked on: the same bytes, and each error in its place."""

from __future__ import annotations

import errno
import io
import threading
import time
from contextlib import nullcontext

import pytest

from pathopipe import finish
from pathopipe.batch.behind import Behind
from pathopipe.batch.run import run_batch
from pathopipe.batch.summary import read_summary
from pathopipe.config import load_config
from pathopipe.engine.serial import SerialExecutor
from pathopipe.errors import OutputDiskError
from pathopipe.progress import Lines
from pathopipe.slide.find import find_slides
from tests.support.cli import results
from tests.support.faults import SETTINGS, Dark, draw, run, statuses

PATIENCE_S = 60


class Beside(SerialExecutor):
    """Says that its workers are beside this process."""

    beside = True

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def each(self, task, items, done, lost=None):
        with self._lock:  # in one process there is one slide at a time
            super().each(task, items, done, lost)


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    return [draw(folder / f"{name}.svs", seed) for seed, name in enumerate("abc")]


@pytest.fixture
def written(monkeypatch):
    """Let a test have something done before a slide's cells are written, by the slide's name."""
    before, real = {}, finish.write_cells

    def write_cells(job, *rest):
        before.get(job.id, nullcontext)()
        return real(job, *rest)

    monkeypatch.setattr(finish, "write_cells", write_cells)
    return before


def test_the_next_slide_begins_before_the_last_is_finished_and_the_bytes_are_the_same(slides, dark, written, tmp_path):
    alone = {path.stem: results(tmp_path / "alone" / path.stem) for path in slides if run(tmp_path / "alone", path)}
    begun, where = {path.stem: threading.Event() for path in slides}, {}

    def waits_for(other):
        where[other] = threading.current_thread()
        assert begun[other].wait(PATIENCE_S), "the next slide was not begun"

    written |= {"a": lambda: waits_for("b"), "b": lambda: waits_for("c")}
    of_batch = [path.stem for path in slides for _ in range(9)]
    dark.batches.clear()
    dark.fails = lambda tiles: begun[of_batch[len(dark.batches) - 1]].set()
    result = run(tmp_path / "out", slides, "scale_check.enabled=true", engine=Beside())
    assert statuses(result) == {"a": "complete", "b": "complete", "c": "complete"}
    assert all(thread is not threading.main_thread() for thread in where.values())
    assert [row["id"] for row in read_summary(tmp_path / "out")] == ["a", "b", "c"]
    for name, files in alone.items():
        assert results(tmp_path / "out" / name) == files
    again = run(tmp_path / "out", slides, "scale_check.enabled=true", engine=Beside())
    assert again.unchanged == 3


def test_an_error_in_the_finish_is_its_slides(slides, dark, written, tmp_path):
    def fails():
        raise TypeError("a mistake")

    written["a"] = fails
    result = run(tmp_path, slides[:2], engine=Beside())
    assert statuses(result) == {"a": "failed", "b": "complete"}
    assert "a mistake" in result.records[0].error
    assert "a mistake" in (tmp_path / "a" / "error.log").read_text()
    assert [row["status"] for row in read_summary(tmp_path)] == ["failed", "complete"]
    written.clear()
    assert run(tmp_path, slides[:2], engine=Beside()).unchanged == 1


def test_records_come_in_order_though_a_slide_fails_before_the_last_is_finished(slides, dark, written, tmp_path):
    broken = tmp_path / "aa.svs"
    broken.write_bytes(b"no slide")
    written["a"] = lambda: time.sleep(0.3)
    result = run(tmp_path / "out", [slides[0], broken, slides[1]], engine=Beside())
    assert statuses(result) == {"a": "complete", "aa": "failed", "b": "complete"}
    assert [record.id for record in result.records] == ["a", "aa", "b"]


def test_a_full_disk_in_the_finish_stops_the_run_at_the_next_tile(slides, dark, written, tmp_path):
    full, ended = threading.Event(), threading.Event()

    def fails():
        full.set()
        raise OSError(errno.ENOSPC, "No space left on device")

    def waits(tiles):
        if len(dark.batches) == 10:
            assert full.wait(PATIENCE_S)
            ended.wait(0.5)

    written["a"], dark.fails = fails, waits
    with pytest.raises(OutputDiskError, match="2 of 2 slides are not finished: a, b"):
        run(tmp_path, slides[:2], engine=Beside())
    assert len(dark.batches) < 18
    written.clear()
    dark.fails = lambda tiles: None
    assert run(tmp_path, slides[:2], engine=Beside()).all_complete


def test_an_interrupt_ends_the_finish_too_and_the_same_command_goes_on(slides, dark, written, tmp_path):
    writing, interrupted = threading.Event(), threading.Event()

    def waits():
        writing.set()
        assert interrupted.wait(PATIENCE_S)

    def interrupts(tiles):
        if len(dark.batches) == 10:
            assert writing.wait(PATIENCE_S)
            threading.Timer(0.3, interrupted.set).start()
            raise KeyboardInterrupt

    written["a"], dark.fails = waits, interrupts
    with pytest.raises(KeyboardInterrupt):
        run(tmp_path, slides[:2], engine=Beside())
    assert not any(thread.name.startswith("behind") for thread in threading.enumerate())
    assert not list(tmp_path.rglob("*.tmp"))
    assert not (tmp_path / "a" / "cells.geojson.zip").exists()
    assert (tmp_path / "a" / "slide.json").read_text().count("not finished") == 1
    written.clear()
    dark.fails, dark.batches[:] = lambda tiles: None, []
    assert run(tmp_path, slides[:2], engine=Beside()).all_complete
    assert len(dark.batches) == 9


def test_each_line_names_its_slide(slides, dark, tmp_path):
    stream = io.StringIO()
    config = load_config(None, SETTINGS)
    found = find_slides([str(path) for path in slides])
    run_batch(found, tmp_path, config, Dark.card, Beside(), Lines(stream), ["pathopipe", "run"])
    lines = stream.getvalue().splitlines()
    for number, name in enumerate("abc", 1):
        own = [line.rpartition(": ")[2] for line in lines if line.startswith(f"[{number}/3] {name}: ")]
        assert own[0] == "tissue"
        assert own[-1] == "scale"
    assert len(lines) == sum(line.startswith("[") for line in lines)


def test_what_ends_the_work_comes_out_once():
    def fails(check):
        raise ValueError("once")

    with Behind() as behind:
        behind.do(fails)
        with pytest.raises(ValueError, match="once"):
            behind.settle()
        behind.check()
        behind.settle()
