"""What a process spends on what: ``with timed("decode"): …`` anywhere, and the sums on demand.

Blocks may lie within each other, and each moment counts for the innermost one, so that the sums add up to the time
that all blocks took. Threads count side by side: four that decode for a second make four seconds. A block costs about
three microseconds.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from types import TracebackType
from typing import NamedTuple, Self


class Spent(NamedTuple):
    """Time spent on a stage."""

    seconds: float
    """By the clock."""
    cpu_seconds: float
    """Of the processor, in the thread that did it: less than by the clock where it waited for disk or other work."""

    def plus(self, other: Spent) -> Spent:
        """Return the sum."""
        return Spent(self.seconds + other.seconds, self.cpu_seconds + other.cpu_seconds)


NOTHING = Spent(0.0, 0.0)


def summed(one: Mapping[str, Spent], other: Mapping[str, Spent]) -> dict[str, Spent]:
    """Return what was spent on each stage in both."""
    return {**one, **{stage: one.get(stage, NOTHING).plus(spent) for stage, spent in other.items()}}


class _Running(threading.local):
    """The blocks that a thread is in, outermost first, and the moment from which the innermost is not yet charged."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.since = NOTHING


_running = _Running()
_totals: dict[str, Spent] = {}
_guard = threading.Lock()


class timed:  # noqa: N801 (used as a statement, like contextlib's)
    """Count the time of the block for ``stage``, but for what blocks inside it count for theirs."""

    __slots__ = ("_stage",)

    def __init__(self, stage: str) -> None:
        self._stage = stage

    def __enter__(self) -> Self:
        _charge()
        _running.stages.append(self._stage)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _charge()
        _running.stages.pop()


def _charge() -> None:
    """Count the time since the last charge for the innermost block of this thread."""
    now = Spent(time.perf_counter(), time.thread_time())
    if _running.stages:
        since = _running.since
        add_spent(_running.stages[-1], Spent(now.seconds - since.seconds, now.cpu_seconds - since.cpu_seconds))
    _running.since = now


def add_spent(stage: str, spent: Spent) -> None:
    """Count for ``stage`` what was measured otherwise."""
    with _guard:
        _totals[stage] = _totals.get(stage, NOTHING).plus(spent)


def take_spent() -> dict[str, Spent]:
    """Return what this process spent on each stage since the last call, and begin anew."""
    with _guard:
        spent = dict(_totals)
        _totals.clear()
    return spent
