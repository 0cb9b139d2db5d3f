"""Threads that hand out tasks, and one that needs the workers alone."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

from pathopipe.engine.alone import Alone


def test_all_may_until_one_is_alone_and_then_again():
    turns, log = Alone(), []
    both = threading.Event()

    def other():
        assert turns.begin(wait=True)
        both.wait(10)
        while turns.begin(wait=False):
            time.sleep(0.001)
        log.append("held back")
        assert turns.begin(wait=True)  # which says that it has none out any more
        log.append("on again")
        turns.end()

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(other)
        assert turns.begin(wait=True)
        turns.end()
        both.set()
        with turns.alone():
            assert turns.begin(wait=True)
            log.append("alone")
            turns.end()
        done.result(10)
    assert log == ["held back", "alone", "on again"]


def test_two_that_want_to_be_alone_come_one_after_the_other():
    turns, within, most = Alone(), [], []

    def work(_):
        with turns.alone():
            within.append(1)
            most.append(len(within))
            time.sleep(0.01)
            within.pop()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(8)))
    assert max(most) == 1
