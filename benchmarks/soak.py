"""Does a run end as if nothing had been, however often its processes are killed?

    python benchmarks/soak.py [--kills 60] [--size 6000] [--seed 1]

Draws a slide and analyses it undisturbed. Then the same command is given again and again while SIGKILL hits, at random
moments, the run, one of its workers, or all of them at once; and, in the second half, on a cluster of separate
processes, the run, a worker, a worker's nanny, or the scheduler. Whenever a run ends by itself, its outputs are
compared byte by byte, and it begins anew in an empty folder. No finished tile may be lost, and nothing may be left: no
process, no temporary file. Exits with 1 if anything of that is not so.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path

import psutil
from seams import RESULTS, pathopipe

MARK = "PATHOPIPE_SOAK"
OPTIONS = ("--set", "grid.tile_px=512", "--set", "store.chunk_px=256", "-q")
ENDS_S = 30
MOST_TRIES = 10


class Processes:
    """Everything that is started here, known by a mark in its environment that its own children inherit."""

    def __init__(self) -> None:
        self.mark = uuid.uuid4().hex
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", MARK: self.mark}

    def start(self, *command: object) -> subprocess.Popen[bytes]:
        arguments = [sys.executable, "-m", *map(str, command)]
        return subprocess.Popen(
            arguments,
            env=self.environment,
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def alive(self) -> list[psutil.Process]:
        """Return all that is left, whoever started it."""
        found = []
        for process in psutil.process_iter():
            try:
                if process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except (psutil.Error, OSError):
                continue
        return found

    def left(self, seconds: float) -> list[psutil.Process]:
        """Return what has not ended within so many seconds."""
        ends = time.monotonic() + seconds
        while (found := self.alive()) and time.monotonic() < ends:
            time.sleep(0.2)
        return found


def workers_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Return the worker processes that ``process`` has started."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
        # Those that were forked from the process that has imported what they need.
        return [child for child in children if child.ppid() != process.pid]
    except psutil.Error:
        return []


class Local:
    """Runs whose workers are their own."""

    victims = ("run", "worker", "worker", "everything")
    options: tuple[str, ...] = ("--workers", "2")

    def keep_up(self) -> None:
        """Nothing is here before a run."""

    def kill(self, victim: str, run: subprocess.Popen[bytes], rng: random.Random) -> bool:
        workers = workers_of(run)
        if victim == "run":
            run.kill()
        elif victim == "everything":
            os.killpg(run.pid, signal.SIGKILL)
        elif workers:
            rng.choice(workers).kill()
        else:
            return False
        return True

    def close(self) -> None:
        """Nothing was started."""


class Cluster:
    """Runs on a scheduler and two workers that were started by themselves, and are when they die."""

    victims = ("run", "worker", "worker", "nanny", "scheduler")

    def __init__(self, processes: Processes) -> None:
        self._processes = processes
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self._address = f"tcp://127.0.0.1:{self._port}"
        self.options = ("--cluster", self._address)
        self._scheduler: subprocess.Popen[bytes] | None = None
        self._nannies: list[subprocess.Popen[bytes]] = []

    def keep_up(self) -> None:
        """Start what is not there, as a batch system or systemd would."""
        if self._scheduler is None or self._scheduler.poll() is not None:
            self._scheduler = self._processes.start(
                "distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", self._port, "--no-dashboard"
            )
        self._nannies = [nanny for nanny in self._nannies if nanny.poll() is None]
        while len(self._nannies) < 2:
            self._nannies.append(
                self._processes.start(
                    "distributed.cli.dask_worker", self._address, "--nthreads", 1, "--no-dashboard",
                    "--death-timeout", 60, "--local-directory", tempfile.gettempdir(),
                )
            )  # fmt: skip

    def kill(self, victim: str, run: subprocess.Popen[bytes], rng: random.Random) -> bool:
        nanny = rng.choice(self._nannies)
        workers = workers_of(nanny)
        if victim == "run":
            run.kill()
        elif victim == "scheduler" and self._scheduler:
            self._scheduler.kill()
        elif victim == "nanny":
            nanny.kill()
        elif workers:
            workers[0].kill()
        else:
            return False
        return True

    def close(self) -> None:
        for process in (*self._nannies, self._scheduler):
            if process:
                process.terminate()
        for process in (*self._nannies, self._scheduler):
            if process:
                process.wait(ENDS_S)


class Soak:
    """The tally of one soak."""

    def __init__(self, slide: Path, folder: Path, rng: random.Random) -> None:
        self._slide, self._rng = slide, rng
        self._folder, self._whole = folder, folder / "undisturbed" / slide.stem
        self._out = folder / "out-0"
        self._kept: dict[str, int] = {}
        self.processes = Processes()
        self.killed: Counter[str] = Counter()
        self.completed = self.starts = self.lost = self.again = 0
        self.faults: list[str] = []

    def disturb(self, where: Local | Cluster, kills: int) -> None:
        """Kill so often, and let the last run end."""
        goal = sum(self.killed.values()) + kills
        run: subprocess.Popen[bytes] | None = None
        tries = 0
        while sum(self.killed.values()) < goal:
            where.keep_up()
            if run is None or run.poll() is not None:
                tries = self._ended(run, tries)
                run = self._start(where)
            if self._wait(run, self._rng.uniform(0.1, 7.0)):
                continue  # it ended by itself
            victim = self._rng.choice(where.victims)
            self._look()
            if where.kill(victim, run, self._rng):
                self.killed[f"{type(where).__name__.lower()}: {victim}"] += 1
            if victim in ("run", "everything"):
                run.wait()
        for _ in range(MOST_TRIES):
            where.keep_up()
            if run is None or run.poll() is not None:
                run = self._start(where)
            if self._wait(run, 300) and run.returncode == 0:
                break
        self._ended(run, MOST_TRIES)
        where.close()

    def _start(self, where: Local | Cluster) -> subprocess.Popen[bytes]:
        self.starts += 1
        return self.processes.start("pathopipe", "run", self._slide, "--out", self._out, *where.options, *OPTIONS)

    @staticmethod
    def _wait(run: subprocess.Popen[bytes], seconds: float) -> bool:
        try:
            run.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _ended(self, run: subprocess.Popen[bytes] | None, tries: int) -> int:
        """Judge a run that is over; return how many in a row were over without an end."""
        self._look()
        if run is None or run.returncode != 0:
            if tries >= MOST_TRIES:
                self.faults.append(f"{MOST_TRIES} runs in a row did not end well")
            return tries + 1 if run is not None and run.returncode > 0 else 0
        self.completed += 1
        self._compare()
        shutil.rmtree(self._out)
        self._kept = {}
        self._out = self._folder / f"out-{self.completed}"
        return 0

    def _look(self) -> None:
        """Count tiles that are gone, or were done again, since the last look.

        Again is a tile whose worker had written it, but died before it could say so, or outlived its run for a moment.
        """
        now = {path.name: path.stat().st_mtime_ns for path in self._tiles()}
        self.lost += len(self._kept.keys() - now.keys())
        self.again += sum(now[name] != made for name, made in self._kept.items() if name in now)
        self._kept = now

    def _tiles(self) -> list[Path]:
        return list((self._out / self._slide.stem / "instances").glob("*.npz"))

    def _compare(self) -> None:
        for name in RESULTS:
            if (self._out / self._slide.stem / name).read_bytes() != (self._whole / name).read_bytes():
                self.faults.append(f"other bytes in {name} of run {self.completed}")
        for ending in ("*.tmp", "*.partial"):
            self.faults += [f"left over: {path.name}" for path in self._out.rglob(ending)]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--size", type=int, default=6_000, help="side of the drawn slide in level-0 pixels")
    options.add_argument("--kills", type=int, default=60)
    options.add_argument("--seed", type=int, default=1, help="of the victims and moments; what they meet is chance")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        slide = folder / "drawn.svs"
        pathopipe("synth", "--size", given.size, given.size, "--out", slide, "-q")
        pathopipe("run", slide, "--out", folder / "undisturbed", "--workers", 2, *OPTIONS)
        tiles = len(list((folder / "undisturbed" / "drawn" / "instances").glob("*.npz")))
        soak, began = Soak(slide, folder, random.Random(given.seed)), time.monotonic()
        soak.disturb(Local(), given.kills // 2)
        soak.disturb(Cluster(soak.processes), given.kills - given.kills // 2)
        orphans = soak.processes.left(ENDS_S)
        for orphan in orphans:
            soak.faults.append(f"still running: {' '.join(orphan.cmdline())[:100]}")
            orphan.kill()
        killed = ", ".join(f"{count} {victim}" for victim, count in sorted(soak.killed.items()))
        print(f"{sum(soak.killed.values())} kills in {time.monotonic() - began:.0f} s ({killed})")
        print(f"{soak.starts} starts of a run over {tiles} tiles, {soak.completed} of them to the end")
        print(f"finished tiles lost: {soak.lost}; written twice: {soak.again}; processes left: {len(orphans)}")
        print("\n".join(soak.faults) or "every run that ended gave the same bytes and left no temporary file")
        sys.exit(bool(soak.faults or soak.lost))


if __name__ == "__main__":
    main()
