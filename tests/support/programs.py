"""A Dask scheduler and workers as programs of their own, as on a cluster."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[2]


class Programs:
    """What was started, for tests to kill; all of it ends with :meth:`close`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "scheduler.json"
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, module: str, *arguments: str, prefix: tuple[str, ...] = (), cwd: Path | None = None):
        """Start ``python -m module`` in a process group of its own."""
        log = open(self.folder / "log.txt", "ab")  # noqa: SIM115 (the process keeps it)
        python_path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
        process = subprocess.Popen(
            [*prefix, sys.executable, "-m", module, *arguments],
            env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": python_path},
            cwd=cwd or self.folder,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        log.close()
        self.running.append(process)
        return process

    def scheduler(self, port: int = 0, host: str = "127.0.0.1", prefix: tuple[str, ...] = ()):
        """Start a scheduler; its address stands in ``self.file`` then."""
        self.file.unlink(missing_ok=True)
        where = ("--host", host, "--port", str(port), "--scheduler-file", str(self.file), "--no-dashboard")
        process = self.start("distributed.cli.dask_scheduler", *where, prefix=prefix)
        deadline = time.monotonic() + 120
        while not self.file.exists() or not self.file.read_text().strip():
            assert process.poll() is None, (self.folder / "log.txt").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        return process

    @property
    def address(self) -> str:
        """Of the scheduler."""
        return json.loads(self.file.read_text())["address"]

    def worker(self, *options: str, prefix: tuple[str, ...] = (), cwd: Path | None = None):
        """Start a worker with one thread, unless ``options`` say otherwise."""
        given = ("--nthreads", "1", "--no-dashboard", "--local-directory", str(self.folder / "scratch"), *options)
        return self.start("distributed.cli.dask_worker", self.address, *given, prefix=prefix, cwd=cwd)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        """End a program and its children at once."""
        with suppress(ProcessLookupError):  # it ended by itself
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        self.running.remove(process)

    def close(self) -> None:
        """End all that is running."""
        for process in list(self.running):
            self.kill(process)
