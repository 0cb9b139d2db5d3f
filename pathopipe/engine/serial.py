"""The reference executor: one item after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Self

from pathopipe.engine.base import Done, Executor, Item, Lost, Result
from pathopipe.engine.needs import Needs
from pathopipe.models.arithmetic import Arithmetic, offered


class SerialExecutor:
    """Does the work in this process: what every other executor must agree with, and the easiest to debug."""

    workers = 1
    description = "this process, one tile after the other"
    elsewhere = False
    beside = False

    def require(self, needs: Needs, say: Callable[[str], None]) -> tuple[Arithmetic, ...]:  # noqa: ARG002
        """Nothing can be missing: this process is the worker."""
        return offered(needs.model)

    def each(
        self,
        task: Callable[[Item], Result],
        items: Iterable[Item],
        done: Done[Item, Result],
        lost: Lost[Item] | None = None,  # noqa: ARG002 (what ends this process ends the run)
    ) -> None:
        """See :meth:`Executor.each`."""
        for item in items:
            done(item, task(item))

    def close(self) -> None:
        """Nothing was started."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


_: type[Executor] = SerialExecutor
