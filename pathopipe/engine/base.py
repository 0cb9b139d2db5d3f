"""The contract of an executor: a task over items, each result handed back as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol, Self, TypeAlias, TypeVar

from pathopipe.engine.needs import Needs
from pathopipe.models.arithmetic import Arithmetic

Item = TypeVar("Item")
Result = TypeVar("Result")
Done: TypeAlias = Callable[[Item, Result], None]
"""Told of an item and what came of it."""
Lost: TypeAlias = Callable[[Item, str], None]
"""Told of an item that nothing came of, and why."""


class Executor(Protocol):
    """Runs tasks; the plan is data and executors know nothing of slides.

    Executors differ only in where the work happens: the files that the tasks write are the same bytes.
    """

    @property
    def workers(self) -> int:
        """Number of workers now."""
        ...

    @property
    def description(self) -> str:
        """One line for the log, such as "2 processes on this machine"."""
        ...

    @property
    def elsewhere(self) -> bool:
        """Whether there are workers that were not started here and now, so that :meth:`require` has what to check."""
        ...

    @property
    def beside(self) -> bool:
        """Whether workers are processes beside this one, which has time for something else while they work."""
        ...

    def require(self, needs: Needs, say: Callable[[str], None]) -> tuple[Arithmetic, ...]:
        """Make sure that every worker has what a run needs, those that come later before their first item.

        Parameters
        ----------
        needs : Needs
            Code, model and files.
        say : callable
            Told of workers that come later and are sent away, and of those for whose sake all compute more slowly.

        Returns
        -------
        tuple of Arithmetic
            What all of them can compute in, the fastest first.

        Raises
        ------
        ClusterError
            If a worker that is there now lacks something, or has nothing to compute in that all have; it is named.
        """
        ...

    def each(
        self,
        task: Callable[[Item], Result],
        items: Iterable[Item],
        done: Done[Item, Result],
        lost: Lost[Item] | None = None,
    ) -> None:
        """Call ``task`` on every item and ``done(item, result)`` in this thread as results come, in any order.

        Several threads may call it at once; they share the workers.

        Parameters
        ----------
        task : callable
            Picklable, and small: it carries specs and paths, never pixels, weights or handles.
        items : iterable
            Picklable and small. Only a bounded number is handed out at a time.
        done : callable
            Called in this process, never twice at once.
        lost : callable, optional
            Called as ``lost(item, reason)`` instead of ``done`` for an item that ended its worker twice, the second
            time with nothing else on that worker to blame.

        Raises
        ------
        ClusterError
            If an item ends its worker twice and there is no ``lost``, or the scheduler goes away and stays away.
        """
        ...

    def close(self) -> None:
        """End the workers that this executor started."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...
