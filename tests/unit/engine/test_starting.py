"""Local workers are copies of a process that has imported what they need; the run's own environment stays."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from pathopipe.engine import starting
from pathopipe.engine.cluster import start_executor
from pathopipe.engine.heap import keep_freed_memory
from pathopipe.engine.spec import EngineSpec
from tests.support.processes import needs_glibc

linux = pytest.mark.skipif(sys.platform != "linux", reason="workers are started in another way")


def seen(_: int) -> tuple[int, int, bool, str | None, bool]:
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return os.getpid(), os.getppid(), "torch" in sys.modules, os.environ.get("OMP_NUM_THREADS"), ignored


@linux
def test_workers_are_copies_of_one_process_that_ignores_ctrl_c(monkeypatch):
    monkeypatch.delenv("PYTHONSAFEPATH", raising=False)
    before, heeded = dict(os.environ), signal.getsignal(signal.SIGINT)
    starting.import_ahead()
    assert dict(os.environ) == before
    assert signal.getsignal(signal.SIGINT) is heeded
    found = []
    with start_executor(EngineSpec(workers=2)) as engine:
        assert engine.workers == 2  # it waits for them
        engine.each(seen, range(12), lambda _, told: found.append(told))
    processes, parents, *_ = zip(*found, strict=True)
    assert len(set(parents)) == 1
    assert os.getpid() not in {*processes, *parents}
    assert all(imported and ignores for *_, imported, _, ignores in found)
    assert {threads for *_, threads, _ in found} == {os.environ.get("OMP_NUM_THREADS", "1")}


_BLOCK = 100_000_000
"""Bytes; more than glibc has in a heap of a thread's own."""


def _fill() -> None:
    bytearray(b"1") * _BLOCK  # NumPy asks for huge pages, which are few


def pages_of_blocks_taken_again(_: int) -> int:
    """Return how many pages the system gives this thread for three blocks that it had and freed."""
    import resource

    assert keep_freed_memory()
    _fill()
    before = resource.getrusage(resource.RUSAGE_THREAD).ru_minflt
    for _ in range(3):
        _fill()
    return resource.getrusage(resource.RUSAGE_THREAD).ru_minflt - before


@needs_glibc
def test_workers_keep_what_their_tasks_free():
    """Their tasks are in a thread, which has a heap of its own unless the process began with one for all."""
    found = []
    with start_executor(EngineSpec(workers=2)) as engine:
        engine.each(pages_of_blocks_taken_again, range(4), lambda _, pages: found.append(pages))
    assert max(found) < 3 * _BLOCK / os.sysconf("SC_PAGESIZE") / 10


@linux
def test_what_workers_are_copied_from_has_one_thread():
    """A copy has the first thread alone, and what others held is held for ever."""
    code = (
        "import os, sys; from importlib import import_module\n"
        f"[import_module(name) for name in {starting.MODULES}]\n"
        "print(len(os.listdir('/proc/self/task')))"
    )
    environment = {**os.environ, **starting._ENVIRONMENT}
    ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "1"


@linux
def test_where_there_can_be_no_such_process_each_worker_is_started_by_itself(tmp_path):
    """The path of a socket has to be short."""
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    code = "from pathopipe.engine.starting import import_ahead; print(import_ahead())"
    for temporary, method in ((folder, "spawn"), ("/tmp", "forkserver")):
        environment = {**os.environ, "TMPDIR": str(temporary)}
        ran = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        assert ran.stdout.strip() == method
