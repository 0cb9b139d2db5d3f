"""The command line as a user calls it: a process of its own, real files, exit codes."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path

from tests.support.prepared import PreparedProcess

_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
_PREPARED = PreparedProcess()


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "pathopipe", *map(str, arguments)]


def environment() -> dict[str, str]:
    return {**os.environ, **_ENVIRONMENT}


def pathopipe(*arguments: str | Path, code: int | None = 0) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end; fail unless it exits with ``code`` (None: any)."""
    if sys.platform == "linux":
        done = _PREPARED.run([*map(str, arguments)], environment())
    else:
        done = subprocess.run(command(*arguments), capture_output=True, text=True, env=environment(), check=False)
    if code is not None:
        assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def summary(out: Path) -> dict[str, dict[str, str]]:
    """The rows of summary.csv by id."""
    with open(out / "summary.csv", encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


RESULTS = ("cells.geojson.zip", "cells.parquet", "annotations.geojson", "scores.json", "overview.png")


def results(folder: Path) -> dict[str, bytes]:
    """The bytes of what a slide's folder holds, without timings."""
    return {name: (folder / name).read_bytes() for name in RESULTS}
