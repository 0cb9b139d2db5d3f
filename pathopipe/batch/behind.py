"""One slide behind: the last slide is finished in a thread while the workers are at the tiles of the next."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from threading import Event
from typing import Self

from pathopipe.errors import ClusterError, OutputDiskError

Check = Callable[[], object]


class Behind:
    """Does one thing at a time in a thread of its own; a context manager.

    Whatever ends the block by an error, Ctrl-C above all, ends what is being done as well, as soon as that asks.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "behind")
        self._now: Future[None] | None = None
        self._interrupted = Event()

    def do(self, work: Callable[[Check], None]) -> None:
        """Begin ``work`` when what was begun before is done.

        Parameters
        ----------
        work : callable
            Given a function to call now and then: it raises KeyboardInterrupt where this one was interrupted.

        Raises
        ------
        BaseException
            Whatever ended the work before.
        """
        self.settle()
        self._now = self._pool.submit(work, self._check_interrupted)

    def settle(self) -> None:
        """Wait until what was begun is done.

        Raises
        ------
        BaseException
            Whatever ended it.
        """
        if self._now:
            wait([self._now])  # and let go of it only then: an interrupt while waiting must not
            ended, self._now = self._now, None
            ended.result()

    def check(self) -> None:
        """Raise what ended the work, if that ends the run."""
        error = self._now.exception() if self._now and self._now.done() else None
        if isinstance(error, OutputDiskError | ClusterError):
            raise error

    def _check_interrupted(self) -> None:
        if self._interrupted.is_set():
            raise KeyboardInterrupt

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind:
            self._interrupted.set()
        self._pool.shutdown()
