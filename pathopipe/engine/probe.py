"""The tiles' task on a few of them, with the memory that it took: what ``--dry-run`` reckons from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pathopipe.engine.tasks import PredictTiles, TileOutcome
from pathopipe.tiling.grid import Tile


@dataclass(frozen=True, slots=True)
class Probed:
    """What came of a batch, and of the process that worked on it."""

    outcomes: tuple[TileOutcome, ...]
    peak_bytes: int | None
    """The most memory that the worker has had so far; None where the system does not tell."""


@dataclass(frozen=True)
class ProbeTiles:
    """The main job's task, told with its memory."""

    task: PredictTiles

    def __call__(self, tiles: tuple[Tile, ...]) -> Probed:
        """Analyse ``tiles`` as the main job would."""
        return Probed(self.task(tiles), peak_bytes())


def peak_bytes() -> int | None:
    """Return the most memory that this process has had resident; None where the system does not tell (not Linux)."""
    try:
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)
