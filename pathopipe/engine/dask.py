"""The executor on dask.distributed: worker processes here or on a cluster, a bounded number of tasks in flight."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, suppress
from itertools import chain, islice
from queue import Empty, SimpleQueue
from typing import Any, Self

from distributed import Client, Future
from distributed.client import FutureCancelledError
from distributed.comm.core import CommClosedError
from distributed.scheduler import KilledWorker

from pathopipe.engine.alone import Alone
from pathopipe.engine.base import Done, Executor, Item, Lost, Result
from pathopipe.engine.crew import Crew
from pathopipe.engine.fitness import Unexamined
from pathopipe.engine.needs import Needs
from pathopipe.errors import ClusterError
from pathopipe.models.arithmetic import Arithmetic

_LOG = logging.getLogger(__name__)
_LOOK_EVERY_S = 5.0
"""How often a wait for results is interrupted to see whether workers are missing."""
_COUNT_EVERY_S = 5.0
"""How often workers are counted, which costs as much as a task."""


class DaskExecutor:
    """Hands items to the workers of ``client`` and takes their results as they come.

    Parameters
    ----------
    client : distributed.Client
        Connected to the scheduler.
    owned : ExitStack
        What this executor started (client, cluster); closed by :meth:`close`.
    in_flight : int
        Tasks per worker that are handed out at a time.
    resources : dict of str to float
        What a task takes of its worker, such as {"GPU": 1}; workers without it get none.
    description : str
        One line for the log.
    patience_s : float
        How long to wait for a scheduler that went away.
    refill : callable, optional
        Starts again what workers are missing. dask's own nannies replace most workers that die, but not one that dies
        while it starts, nor, on a busy machine, one that takes longer than 15 s to start.
    elsewhere : bool
        Whether workers run on other machines, or were started by others.
    awaited : callable, optional
        Waits for workers that are still starting, and raises ClusterError if they do not come; called before they are
        needed first, so that the run can do something else until then.
    """

    beside = True

    def __init__(
        self,
        client: Client,
        owned: ExitStack,
        in_flight: int,
        resources: dict[str, float],
        description: str,
        patience_s: float,
        refill: Callable[[], object] | None = None,
        elsewhere: bool = True,
        awaited: Callable[[], object] | None = None,
    ) -> None:
        self.description = description
        self.elsewhere = elsewhere
        self._crew = Crew(client, resources, patience_s)
        self._refill = refill
        self._awaited = awaited
        self._client = client
        self._owned = owned
        self._in_flight = in_flight
        self._resources = resources
        self._known, self._counted = 1, float("-inf")
        self._alone = Alone()

    @property
    def workers(self) -> int:
        """Number of workers now; where they are still starting, it waits for them."""
        if self._awaited:
            self._awaited()
            self._awaited = None
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def require(self, needs: Needs, say: Callable[[str], None]) -> tuple[Arithmetic, ...]:
        """See :meth:`Executor.require`."""
        return self._crew.require(needs, say)

    def each(
        self,
        task: Callable[[Item], Result],
        items: Iterable[Item],
        done: Done[Item, Result],
        lost: Lost[Item] | None = None,
    ) -> None:
        """See :meth:`Executor.each`."""
        suspects: list[Item] = []
        self._work(task, items, done, lambda item, _: suspects.append(item))
        # A worker that dies takes along what waited on it, and nobody knows which item it was. Whatever is given out
        # alone has no other to blame, one of another thread neither.
        for item in suspects:
            with self._alone.alone():
                self._work(task, [item], done, lost or _unforgiven)

    def _work(
        self,
        task: Callable[[Item], Result],
        items: Iterable[Item],
        done: Done[Item, Result],
        killed: Lost[Item],
    ) -> None:
        """Have ``items`` worked on; ``killed`` is told of those whose workers died more often than is forgiven."""
        waiting, task = iter(items), self._crew.guarded(task)
        flying: dict[Future[Any], Item] = {}
        arriving: SimpleQueue[Future[Any]] = SimpleQueue()

        def hand_out(number: int) -> None:
            for item in islice(waiting, number):
                # pure=False: equal items are still separate tasks; their results are files, not values to share.
                future = self._client.submit(task, item, pure=False, resources=self._resources or None)
                flying[future] = item
                future.add_done_callback(arriving.put)

        try:
            hand_out(self._room(flying))
            while flying:
                future = self._next(arriving)
                item = flying.pop(future)
                try:
                    result = future.result()
                except KilledWorker:
                    killed(item, "it ended the worker that was at it (out of memory?)")
                except (FutureCancelledError, CommClosedError) as error:
                    self._crew.wait(error)
                    # What was given out went with the scheduler, and results that had come may be of no use any more.
                    waiting, arriving = chain([item, *flying.values()], waiting), SimpleQueue()
                    flying.clear()
                else:
                    if isinstance(result, Unexamined):
                        self._crew.meet(result)
                        waiting = chain([item], waiting)
                    else:
                        done(item, result)
                hand_out(self._room(flying))
        finally:
            self._alone.end()
            if self._client.status == "running":  # else they went with the scheduler
                for future in flying:
                    future.cancel()

    def _next(self, arriving: SimpleQueue[Future[Any]]) -> Future[Any]:
        while True:
            try:
                return arriving.get(timeout=_LOOK_EVERY_S)
            except Empty:
                if self._refill:
                    self._refill()

    def _room(self, flying: dict[Future[Any], Any]) -> int:
        if not self._alone.begin(wait=not flying):
            return 0
        if time.monotonic() - self._counted > _COUNT_EVERY_S:  # workers of a cluster come and go
            with suppress(OSError):  # of a scheduler that went away: its futures tell (Crew.wait)
                self._known = max(1, self.workers)
            self._counted = time.monotonic()
        return max(0, self._known * self._in_flight - len(flying))

    def close(self) -> None:
        """Close what this executor started; a cluster that was there before stays.

        The results are in by then: where a worker does not end in time, on an overloaded machine, that is said and
        no more. It ends with this process.
        """
        try:
            self._owned.close()
        except (TimeoutError, OSError) as error:
            _LOG.warning("workers took long to end (%s)", error or type(error).__name__)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _unforgiven(item: object, reason: str) -> None:
    raise ClusterError(f"{item}: {reason}; use fewer workers (--workers) or smaller tiles (--set grid.tile_px=512)")


_: type[Executor] = DaskExecutor
