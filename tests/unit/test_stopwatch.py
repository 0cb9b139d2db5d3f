"""Sums of what a process spends: every moment counted once."""

from __future__ import annotations

import threading
import time

import pytest

from pathopipe.stopwatch import NOTHING, Spent, add_spent, summed, take_spent, timed


@pytest.fixture(autouse=True)
def fresh():
    take_spent()
    yield
    take_spent()


@pytest.fixture
def clock(monkeypatch):
    """Replace both clocks by one that stands still until it is moved; the processor's runs at half its speed."""
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(time, "thread_time", lambda: now[0] / 2)

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


def test_a_block_within_a_block_takes_its_time_from_it(clock):
    with timed("store"):
        clock(1)
        with timed("decode"):
            clock(4)
            with timed("decode"):
                clock(8)
        clock(2)
    clock(100)
    assert take_spent() == {"store": Spent(3, 1.5), "decode": Spent(12, 6)}
    assert take_spent() == {}


def test_a_block_that_fails_is_counted_and_ended(clock):
    def broken() -> None:
        with timed("store"), timed("decode"):
            clock(3)
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        broken()
    with timed("infer"):
        clock(1)
    assert take_spent() == {"decode": Spent(3, 1.5), "store": Spent(0, 0), "infer": Spent(1, 0.5)}


def test_threads_count_side_by_side_and_not_for_one_another():
    inside, leave = threading.Barrier(3), threading.Event()

    def work(stage: str) -> None:
        with timed(stage):
            inside.wait()
            leave.wait()

    threads = [threading.Thread(target=work, args=(stage,)) for stage in ("decode", "infer")]
    for thread in threads:
        thread.start()
    inside.wait()
    time.sleep(0.05)
    leave.set()
    for thread in threads:
        thread.join()
    spent = take_spent()
    assert spent.keys() == {"decode", "infer"}
    assert all(each.seconds >= 0.05 for each in spent.values())


def test_sums_keep_what_only_one_has():
    one, other = {"open": Spent(1, 1), "infer": Spent(2, 1)}, {"infer": Spent(3, 2), "post": Spent(1, 0)}
    assert summed(one, other) == {"open": Spent(1, 1), "infer": Spent(5, 3), "post": Spent(1, 0)}
    add_spent("wait", Spent(2, 0))
    add_spent("wait", NOTHING)
    assert take_spent() == {"wait": Spent(2, 0)}
