"""Running the command line and watching its processes: seconds, processor time, and the memory of each."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

ADOPT = 36
"""Linux: PR_SET_CHILD_SUBREAPER. What outlives its parent becomes a child of this process."""
LAST_S = 30
"""How long is waited for what outlives the command: Python's servers end when they see that it is gone."""


@dataclass(frozen=True)
class Ran:
    """What a command took."""

    seconds: float
    cpu_seconds: float
    """Of all its processes."""
    coordinator_bytes: int
    """Peak resident memory of the process that was started."""
    worker_bytes: int
    """Peak resident memory of the largest of its children; 0 without any."""


def pathopipe(*arguments: object) -> Ran:
    """Run ``pathopipe`` with ``arguments`` in processes of one thread each; end this process if it fails."""
    _adopt()
    ours = _children()
    before, began = os.times(), time.perf_counter()
    peaks: dict[int, int] = {}
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "pathopipe", *map(str, arguments)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        done = threading.Event()
        watcher = threading.Thread(target=_watch, args=(process.pid, peaks, done))
        watcher.start()
        code = process.wait()
        done.set()
        watcher.join()
    if code:
        sys.exit(f"pathopipe {' '.join(map(str, arguments))} ended with {code}")
    seconds = time.perf_counter() - began
    _take_leave(_children() - ours)
    after = os.times()
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    own = peaks.pop(process.pid, 0)
    return Ran(seconds, cpu, own, max(peaks.values(), default=0))


def _adopt() -> None:
    """Have what the command leaves behind counted: workers' processor time goes to whoever waits for their parent."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(ADOPT, 1, 0, 0, 0)


def _children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def _take_leave(pids: set[int]) -> None:
    """Wait for processes that the command left behind to end by themselves; tell of those that do not."""
    until = time.perf_counter() + LAST_S
    while pids and time.perf_counter() < until:
        pids = {pid for pid in pids if os.waitpid(pid, os.WNOHANG) == (0, 0)}
        time.sleep(0.01)
    if pids:
        print(f"processes {sorted(pids)} outlive the command; their processor time is not counted", file=sys.stderr)


def _watch(root: int, peaks: dict[int, int], done: threading.Event) -> None:
    """Note the peak memory of ``root`` and of every process below it until ``done``."""
    while not done.wait(0.5):  # a look takes 4 ms of a core, and the command may need all cores
        try:
            processes = [psutil.Process(root), *psutil.Process(root).children(recursive=True)]
        except psutil.Error:
            continue
        for each in processes:
            peaks[each.pid] = max(peaks.get(each.pid, 0), _peak(each.pid))


def _peak(pid: int) -> int:
    """Return the most memory that a process has had resident, in bytes; where the kernel does not say, what it has."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        return int(psutil.Process(pid).memory_info().rss)
    except (OSError, psutil.Error):
        return 0
