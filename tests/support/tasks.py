"""Tasks for the executors' tests; a module of its own, because worker processes import them by name."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WriteSquare:
    """Write the square of a number into a file named after it, as the real tasks write theirs."""

    folder: Path

    def __call__(self, number: int) -> tuple[int, int]:
        (self.folder / f"{number}.txt").write_text(str(number * number))
        return number * number, os.getpid()


@dataclass(frozen=True)
class DieOnce:
    """Kill the worker the first time that it is called with 3."""

    folder: Path

    def __call__(self, number: int) -> int:
        mark = self.folder / "died"
        if number == 3 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number


@dataclass(frozen=True)
class DieOn:
    """Kill the worker whenever it is called with ``number``, and count that as a byte in ``deaths``."""

    number: int
    deaths: Path

    def __call__(self, number: int) -> int:
        if number == self.number:
            with open(self.deaths, "ab") as file:
                file.write(b"x")
            os.kill(os.getpid(), signal.SIGKILL)
        return number


def die(_: int) -> None:
    """Kill the worker, always."""
    os.kill(os.getpid(), signal.SIGKILL)


def refuse(number: int) -> None:
    """Fail as a task does on a wrong value."""
    raise ValueError(f"{number} is refused")


@dataclass(frozen=True)
class Slowly:
    """Take some time and return who did it."""

    seconds: float

    def __call__(self, _: int) -> int:
        time.sleep(self.seconds)
        return os.getpid()


def gpu_of(_: int) -> tuple[int, str | None]:
    """Return this process's id and the GPU that it was given."""
    return os.getpid(), os.environ.get("CUDA_VISIBLE_DEVICES")
