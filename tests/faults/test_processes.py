"""Real processes, interrupted, ended and killed: what is done stays, nothing is left behind, bytes are equal."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from pathopipe.engine.cluster import start_executor
from pathopipe.engine.spec import EngineSpec
from tests.support.cli import command, environment, pathopipe, results
from tests.support.faults import DeadlyTile, draw, run
from tests.support.processes import heed_ctrl_c, session, wait_until, workers_of

OPTIONS = ("--set", "grid.tile_px=448", "--set", "store.chunk_px=128", "--set", "tissue.enabled=false")
ENDS_S = 60
"""How long the end of a run may take; seconds in truth, but for a machine with much else to do."""


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    """36 tiles."""
    return draw(tmp_path_factory.mktemp("drawn") / "a.svs", side=1536)


@pytest.fixture(scope="module")
def undisturbed(slide, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    pathopipe("run", slide, "--out", out, "--cluster", "serial", *OPTIONS)
    return results(out / "a")


def tiles(out):
    return {path.name: path.stat().st_mtime_ns for path in (out / "a" / "instances").glob("*.npz")}


def begun(slide, out, stderr=subprocess.PIPE):
    """A run of two processes in a session of its own, which heeds Ctrl-C."""
    return subprocess.Popen(
        command("run", slide, "--out", out, "--workers", 2, *OPTIONS),
        env=environment(),
        start_new_session=True,
        stderr=stderr,
        text=True,
        preexec_fn=heed_ctrl_c,
    )


def wait_for_tiles(process, out, number):
    """Until so many are done, or the process has ended."""
    wait_until(lambda: process.poll() is not None or len(tiles(out)) >= number)


def wait_for_end(process):
    """Until nothing is left of the run."""
    wait_until(lambda: not session(process.pid), ENDS_S)


def test_a_run_ended_in_every_way_goes_on_and_leaves_nothing(slide, undisturbed, tmp_path):
    """One run of two processes, ended by Ctrl-C, a batch system and kill -9, then finished with a worker killed."""
    kept: dict[str, int] = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        with begun(slide, tmp_path) as process:
            wait_for_tiles(process, tmp_path, len(kept) + 3)
            assert process.poll() is None, process.stderr.read()
            if number == signal.SIGINT:
                os.killpg(process.pid, number)  # as a terminal does: the workers too
            else:
                process.send_signal(number)
            process.wait(ENDS_S)
            wait_for_end(process)
            said = process.stderr.read()
        assert process.returncode != 0
        if number != signal.SIGKILL:
            assert "run the same command again" in said
            assert "Traceback" not in said
        now = tiles(tmp_path)
        assert kept.items() <= now.items()
        kept = now

    with begun(slide, tmp_path, stderr=subprocess.DEVNULL) as process:
        wait_for_tiles(process, tmp_path, len(kept) + 2)
        workers = workers_of(process.pid)
        if workers:  # else it was faster
            workers[0].kill()
        assert process.wait(300) == 0
        wait_for_end(process)
    assert kept.items() <= tiles(tmp_path).items()
    assert results(tmp_path / "a") == undisturbed
    assert not list(tmp_path.rglob("*.tmp"))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_is_ended_while_its_workers_start(slide, tmp_path, number):
    with begun(slide, tmp_path) as process:
        assert process.stderr.readline().startswith("model ")
        os.killpg(process.pid, number)
        said = process.stderr.read()
        process.wait(ENDS_S)
        wait_for_end(process)
    assert process.returncode != 0
    assert "run the same command again" in said
    assert "Traceback" not in said


def test_a_tile_that_kills_its_worker_twice_is_set_aside_and_the_rest_done(slide, undisturbed, tmp_path, monkeypatch):
    from pathopipe import pipeline

    real = pipeline.PredictTiles
    deadly = lambda *given: DeadlyTile(real(*given), "r0002_c0003", tmp_path / "deaths")  # noqa: E731
    settings = ("artefacts.enabled=true", "scale_check.enabled=true")
    with start_executor(EngineSpec(workers=2)) as engine:
        with monkeypatch.context() as patch:
            patch.setattr(pipeline, "PredictTiles", deadly)
            record = run(tmp_path / "out", slide, *settings, engine=engine, batch_tiles=4).records[0]
        assert record.status == "incomplete", record.error
        assert [each["tile"] for each in record.tiles_failed] == ["r0002_c0003"]
        assert "ended the worker" in record.error
        assert (tmp_path / "deaths").stat().st_size == 4  # twice in its batch, then twice by itself
        assert run(tmp_path / "out", slide, *settings, engine=engine).all_complete
    assert results(tmp_path / "out" / "a") == undisturbed
