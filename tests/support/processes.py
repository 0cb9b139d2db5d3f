"""Watching the processes of a run from outside."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time

import psutil
import pytest

needs_glibc = pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "gnu_get_libc_version"), reason="not the GNU C library"
)


def session(leader: int) -> list[psutil.Process]:
    """All processes of the run: it leads a session, and its workers stay in it when it is gone."""
    found = []
    for process in psutil.process_iter():
        try:
            if os.getsid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, ProcessLookupError):
            continue
    return found


def workers_of(leader: int) -> list[psutil.Process]:
    """The workers of the run: each was forked from the process that has imported what they need."""
    return [each for each in session(leader) if each.ppid() not in (leader, os.getpid())]


def heed_ctrl_c() -> None:
    """Undo that a shell has what it starts in the background ignore Ctrl-C, as these tests may have been."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def wait_until(true, seconds=300.0):
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it took too long"
        time.sleep(0.05)
