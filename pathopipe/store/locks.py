"""Locks on the chunks of one store, between the threads of a process and between processes.

Between processes they are POSIX byte-range locks in one file, byte *i* for chunk *i*: any number of chunks needs one
file, and the locks of a process that dies vanish with it. Where the platform or the file system has none, processes
are not kept apart: the same chunk may then be decoded twice, and as a chunk is whole or absent that costs time only.
"""

from __future__ import annotations

import errno
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pathopipe.files import unwritable
from pathopipe.stopwatch import timed

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


class ChunkLocks:
    """The locks of one store in this process; :meth:`of` gives all users of a file the same one.

    POSIX locks belong to a process and are all lost when it closes *any* handle of the file, so there is one handle
    a process and file, shared and counted.
    """

    _shared: dict[tuple[int, Path], ChunkLocks] = {}  # noqa: RUF012 (one dictionary a process is the point)
    _guard = threading.Lock()

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._users = 0
        self._free = threading.Condition()
        self._held: set[int] = set()
        self._file: int | None = None  # opened by the first lock: whoever only looks needs none

    @classmethod
    def of(cls, path: Path) -> ChunkLocks:
        """Return this process's locks in the file ``path``, made if it is not there. Each call needs a `close`."""
        key = (os.getpid(), path.resolve())  # the process id: a handle from before a fork is the parent's
        with cls._guard:
            locks = cls._shared.get(key)
            if locks is None:
                locks = cls._shared[key] = cls(path)
            locks._users += 1
            return locks

    def close(self) -> None:
        """Give the handle back; the last user of the file closes it."""
        with self._guard:
            self._users -= 1
            if self._users > 0 or self._path is None:
                return
            self._shared.pop((os.getpid(), self._path.resolve()), None)
            if self._file is not None:
                os.close(self._file)
                self._file = None

    @contextmanager
    def hold(self, index: int) -> Iterator[None]:
        """Keep all other threads and processes out of chunk ``index``.

        Raises
        ------
        StoreError
            If the lock file cannot be written.
        """
        with timed("wait"), self._free:
            while index in self._held:
                self._free.wait()
            self._open()
            self._held.add(index)
        try:
            with timed("wait"):
                self._lock(index)
            try:
                yield
            finally:
                self._unlock(index)
        finally:
            with self._free:
                self._held.discard(index)
                self._free.notify_all()

    def _open(self) -> None:
        if self._file is None and self._path is not None and fcntl is not None:
            try:
                self._file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
            except OSError as error:
                raise unwritable(self._path, error) from error

    def _lock(self, index: int) -> None:
        while self._file is not None:
            try:
                fcntl.lockf(self._file, fcntl.LOCK_EX, 1, index)
            except OSError as error:
                if error.errno == errno.EDEADLK:
                    # The kernel counts locks by process and not by thread: two threads here and two there, each
                    # holding one chunk and waiting for none, look like a ring to it. It breaks by itself.
                    time.sleep(0.005)
                    continue
                if error.errno not in _UNSUPPORTED:
                    raise
            return

    def _unlock(self, index: int) -> None:
        if self._file is None:
            return
        try:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, index)
        except OSError as error:
            if error.errno not in _UNSUPPORTED:
                raise
