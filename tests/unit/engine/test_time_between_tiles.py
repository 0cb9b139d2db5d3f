"""What a worker does between two tiles of a slide is told of that slide as what it is."""

from __future__ import annotations

import time

import pytest

from pathopipe.engine import tasks
from pathopipe.stopwatch import Spent, add_spent, take_spent, timed


@pytest.fixture(autouse=True)
def nothing_spent(monkeypatch):
    take_spent()
    monkeypatch.setattr(tasks, "_left", None)


def spent_on(task):
    tasks.begin(task)
    with timed("infer"):
        time.sleep(0.001)
    return tasks.with_spent(task, [tasks.set_aside("tile", "why")])[0].spent


def test_cells_written_between_tiles_are_not_waiting():
    assert spent_on("one").keys() == {"infer"}
    time.sleep(0.01)
    with timed("write"):
        time.sleep(0.05)
    told = spent_on("one")
    assert told.keys() == {"wait", "other", "infer"}
    assert told["other"].seconds >= 0.05
    assert told["wait"].seconds >= 0.01
    assert spent_on("one").keys() == {"wait", "infer"}


def test_what_was_done_before_a_slides_first_tile_is_not_its_own():
    add_spent("write", Spent(5.0, 5.0))
    assert spent_on("one").keys() == {"infer"}
