"""Threads that share workers, of which one may need them alone for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition, get_ident


class Alone:
    """Who may hand out tasks: every thread, or one, once the tasks of all others are done."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._busy: set[int] = set()
        """Threads that have tasks out."""
        self._alone: int | None = None

    def begin(self, *, wait: bool) -> bool:
        """Return whether this thread may hand out tasks, and count it as busy if so.

        If it has none out it can ``wait`` until it may.
        """
        with self._changed:
            if wait:
                self._busy.discard(get_ident())
                self._changed.notify_all()
                self._changed.wait_for(self._may)
            if self._may():
                self._busy.add(get_ident())
                return True
            return False

    def end(self) -> None:
        """Note that this thread has no tasks out any more."""
        with self._changed:
            self._busy.discard(get_ident())
            self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Wait until no other thread has tasks out, and let none hand out any during the block."""
        with self._changed:
            self._changed.wait_for(lambda: self._alone is None)
            self._alone = get_ident()
        try:
            with self._changed:
                self._changed.wait_for(lambda: self._busy <= {get_ident()})
            yield
        finally:
            with self._changed:
                self._alone = None
                self._changed.notify_all()

    def _may(self) -> bool:
        return self._alone in (None, get_ident())
