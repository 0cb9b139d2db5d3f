"""Real processes, ended while one slide is put together and the next analysed: nothing half-written, nothing lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.cli import RESULTS, environment, results
from tests.support.faults import draw
from tests.support.processes import heed_ctrl_c, session, wait_until

ENDS_S = 60
TILES = 16
OPTIONS = (
    "--set", "grid.tile_px=448", "--set", "store.chunk_px=128", "--set", "tissue.enabled=false",
    "--set", "annotations.part_cells=100",
)  # fmt: skip


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    return [draw(folder / f"{name}.svs", seed, side=1024) for seed, name in enumerate("ab")]


def start(out, slides, mark, seconds, *more):
    arguments = [sys.executable, "-m", "tests.support.slow_blocks", mark, seconds, "run", *slides, "--out", out]
    return subprocess.Popen(
        [*map(str, arguments), *OPTIONS, *more],
        env=environment(),
        cwd=Path(__file__).parents[2],
        start_new_session=True,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,
    )


def finish(process):
    said = process.communicate(timeout=300)[1]
    assert process.returncode == 0, said


def tiles(out, name):
    return {path.name: path.stat().st_mtime_ns for path in (out / name / "instances").glob("*.npz")}


def blocks(mark):
    return mark.read_text().count("a\n") if mark.exists() else 0


def unfinished(out, name):
    return "not finished" in (out / name / "slide.json").read_text() and not any(
        (out / name / result).exists() for result in RESULTS
    )


def test_a_run_ended_while_two_slides_are_worked_on_leaves_nothing_half_written(slides, tmp_path):
    """Once by Ctrl-C and once by kill -9 of the coordinating process, while blocks of the first are put together."""
    with start(tmp_path / "alone", slides, tmp_path / "none", 0, "--cluster", "serial") as process:
        finish(process)
    out, kept = tmp_path / "out", {}
    for number in (signal.SIGINT, signal.SIGKILL):
        mark = tmp_path / f"blocks-{number}"
        with start(out, slides, mark, 3, "--workers", "2") as process:
            wait_until(lambda: process.poll() is not None or (blocks(mark) >= 2 and tiles(out, "b")))  # noqa: B023
            assert process.poll() is None, process.stderr.read()
            if number == signal.SIGINT:
                os.killpg(process.pid, number)  # as a terminal does: the workers too
            else:
                process.kill()
            process.wait(ENDS_S)
            wait_until(lambda: not session(process.pid), ENDS_S)
            said = process.stderr.read()
        assert process.returncode != 0
        if number == signal.SIGINT:
            assert "run the same command again" in said
            assert "Traceback" not in said
        assert blocks(mark) < 10, "it was not ended in the midst of them"
        assert unfinished(out, "a")
        assert unfinished(out, "b")
        assert len(tiles(out, "a")) == TILES
        now = {name: tiles(out, name) for name in "ab"}
        assert all(held.items() <= now[name].items() for name, held in kept.items())
        kept = now

    with start(out, slides, tmp_path / "blocks", 0, "--workers", "2") as process:
        finish(process)
    for name in "ab":
        assert kept[name].items() <= tiles(out, name).items()
        assert results(out / name) == results(tmp_path / "alone" / name)
    assert not list(out.rglob("*.tmp"))
