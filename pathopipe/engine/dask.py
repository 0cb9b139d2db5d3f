"""The executor on dask.distributed: worker processes here or on a cluster, a bounded number of tasks in flight."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from itertools import islice
from typing import Any, Self

from distributed import Client, Future, as_completed
from distributed.client import FutureCancelledError
from distributed.scheduler import KilledWorker

from pathopipe.engine.base import Executor, Item, Result
from pathopipe.errors import ClusterError


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
    """

    def __init__(
        self, client: Client, owned: ExitStack, in_flight: int, resources: dict[str, float], description: str
    ) -> None:
        self.description = description
        self._client = client
        self._owned = owned
        self._in_flight = in_flight
        self._resources = resources
        self._known, self._counted = 1, float("-inf")

    @property
    def workers(self) -> int:
        """Number of workers now."""
        return len(self._client.scheduler_info(n_workers=-1)["workers"])

    def each(self, task: Callable[[Item], Result], items: Iterable[Item], done: Callable[[Item, Result], None]) -> None:
        """See :meth:`Executor.each`."""
        waiting = iter(items)
        flying: dict[Future[Any], Item] = {}
        arriving = as_completed()

        def hand_out(number: int) -> None:
            for item in islice(waiting, number):
                # pure=False: equal items are still separate tasks; their results are files, not values to share.
                future = self._client.submit(task, item, pure=False, resources=self._resources or None)
                flying[future] = item
                arriving.add(future)

        try:
            hand_out(self._room(flying))
            for future in arriving:
                result = self._result(future)
                done(flying.pop(future), result)
                hand_out(self._room(flying))
        finally:
            for future in flying:
                future.cancel()

    def _room(self, flying: dict[Future[Any], Any]) -> int:
        # Workers of a cluster come and go, but asking the scheduler costs more than a task: once a second will do.
        if time.monotonic() - self._counted > 1:
            self._known, self._counted = max(1, self.workers), time.monotonic()
        return self._known * self._in_flight - len(flying)

    def _result(self, future: Future[Any]) -> Any:
        try:
            return future.result()
        except KilledWorker as error:
            raise ClusterError(
                f"the same tiles ended their worker {error.allowed_failures + 1} times (out of memory?): {error.task}; "
                "use fewer workers (--workers) or smaller tiles (--set grid.tile_px=512)"
            ) from error
        except FutureCancelledError as error:
            raise ClusterError(f"the scheduler went away ({error}); run the same command again to go on") from error

    def close(self) -> None:
        """Close what this executor started; a cluster that was there before stays."""
        self._owned.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


_: type[Executor] = DaskExecutor
