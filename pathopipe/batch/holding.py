"""Who may write to an output folder: one run, or the shards of one division; see docs/adr/0013.

All locks are the operating system's (flock): they end with the process that holds them, however that ends, and the
files that remain mean nothing. On NFS, and on Lustre mounted with ``flock``, they hold between machines too.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Timer
from typing import IO

from pathopipe.batch.shards import Shard
from pathopipe.errors import OutputInUseError, StoreError
from pathopipe.files import write_text
from pathopipe.layout import LOCK, SHARD_LOCKS, TURN

_UNSUPPORTED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}
_TELL_AFTER_S = 30.0
"""A turn takes a second or two; one that takes longer belongs to a shard that was stopped or has lost its disk."""
_WAITS = "waiting for another shard of %s, which has held %s for long: is one of them stopped?"
_LOG = logging.getLogger(__name__)


@contextmanager
def hold(out: Path, shard: Shard | None = None) -> Iterator[None]:
    """Hold the output folder for this run: alone, or together with the other shards of the same division.

    Parameters
    ----------
    out : Path
        The output folder.
    shard : Shard, optional
        The part that this run does; None for a run that does all.

    Raises
    ------
    OutputInUseError
        If another run holds it, or this shard, or shards of another division.
    StoreError
        If there are shards and the file system keeps no locks, so that they could not be kept apart.
    """
    with open(out / LOCK, "a+b") as whole:
        if not _take(whole, fcntl.LOCK_EX if shard is None else fcntl.LOCK_SH, out, shard):
            raise OutputInUseError(f"another run is writing to {out}; wait for it to end, or use another --out")
        if shard is None:
            yield
            return
        with turn(out):
            others = [each for each in running(out) if each.of != shard.of]
            if others:
                raise OutputInUseError(
                    f"shard {others[0]} is writing to {out}; wait for it before shards of {shard.of}"
                )
            own = _shard_lock(out, shard)
        with own:
            yield


@contextmanager
def turn(out: Path) -> Iterator[None]:
    """Wait for this process's turn to change a file that all shards share: the summary, the report, ``run.json``."""
    tell = Timer(_TELL_AFTER_S, _LOG.warning, (_WAITS, out, out / TURN))
    tell.daemon = True
    with open(out / TURN, "a+b") as file:
        tell.start()
        try:
            with suppress(OSError):  # without locks there are no shards either (hold)
                fcntl.flock(file, fcntl.LOCK_EX)
        finally:
            tell.cancel()
        yield


def running(out: Path) -> tuple[Shard, ...]:
    """Return the shards that are being worked on now; call it in one's :func:`turn`."""
    found = []
    for path in sorted((out / SHARD_LOCKS).glob("*-of-*")):
        match = re.fullmatch(r"(\d+)-of-(\d+)", path.name)
        if match:
            with open(path, "rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    found.append(Shard(int(match[1]), int(match[2])))
    return tuple(found)


def begin_round(out: Path, shard: Shard, name: str) -> None:
    """Have other shards see which round ``shard``, which this run holds, is at work in; call it in one's turn."""
    write_text(_round_file(out, shard), name)


def round_of(out: Path, shard: Shard) -> str | None:
    """Return the round that a shard which is :func:`running` is at work in; None if it has not begun one yet."""
    try:
        return _round_file(out, shard).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _round_file(out: Path, shard: Shard) -> Path:
    return _lock_file(out, shard).with_suffix(".round")


def _lock_file(out: Path, shard: Shard) -> Path:
    return out / SHARD_LOCKS / f"{shard.index}-of-{shard.of}"


def _shard_lock(out: Path, shard: Shard) -> IO[bytes]:
    path = _lock_file(out, shard)
    path.parent.mkdir(exist_ok=True)
    file = open(path, "a+b")  # noqa: SIM115 (the caller closes it)
    if not _take(file, fcntl.LOCK_EX, out, shard):
        file.close()
        raise OutputInUseError(f"shard {shard} is being written to {out} by another run already; wait for it to end")
    _round_file(out, shard).unlink(missing_ok=True)  # of who held it before
    return file


def _take(file: IO[bytes], kind: int, out: Path, shard: Shard | None) -> bool:
    """Lock ``file``; return False if another holds it."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _UNSUPPORTED:
            raise
        if shard is not None:
            raise StoreError(
                f"the file system of {out} keeps no locks ({error.strerror}), so shards cannot share it: give each "
                "an output folder of its own, or have it mounted with locks (Lustre: the option flock)"
            ) from error
        _LOG.warning("the file system of %s keeps no locks: see to it that no other run writes there", out)
    return True
