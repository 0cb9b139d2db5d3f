"""The reference executor: one item after the other in this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Self

from pathopipe.engine.base import Executor, Item, Result

if TYPE_CHECKING:
    from pathopipe.engine.fitness import Needs


class SerialExecutor:
    """Does the work in this process: what every other executor must agree with, and the easiest to debug."""

    workers = 1
    description = "this process, one tile after the other"
    elsewhere = False

    def require(self, needs: Needs, say: Callable[[str], None]) -> None:
        """Nothing can be missing: this process is the worker."""

    def each(
        self,
        task: Callable[[Item], Result],
        items: Iterable[Item],
        done: Callable[[Item, Result], None],
        lost: Callable[[Item, str], None] | None = None,  # noqa: ARG002 (what ends this process ends the run)
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
