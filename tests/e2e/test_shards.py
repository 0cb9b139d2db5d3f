"""Shards of one run at once, in one output folder: it ends as one run's does."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import time
from contextlib import suppress

import pytest

from pathopipe.layout import TURN
from pathopipe.synth.slide import draw_slide
from pathopipe.synth.spec import SynthSpec
from tests.support.cli import command, environment, pathopipe, results, summary

NAMES = ("a", "b", "c")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three drawn slides, one file that is none, and what one run makes of them."""
    slides = tmp_path_factory.mktemp("slides")
    for seed, name in enumerate(NAMES):
        draw_slide(slides / f"{name}.svs", SynthSpec(width=800, height=800, seed=seed))
    (slides / "d.svs").write_text("this is no slide")
    out = tmp_path_factory.mktemp("plain") / "out"
    pathopipe("run", slides, "--out", out, "--cluster", "serial", code=1)
    return slides, out


def shard(slides, out, part):
    return "run", slides, "--out", out, "--cluster", "serial", "--shard", part, "-q"


def rows(out):
    return {name: {key: value for key, value in row.items() if key != "seconds"} for name, row in summary(out).items()}


def assert_the_same(out, plain):
    assert rows(out) == rows(plain)
    assert all(results(out / name) == results(plain / name) for name in NAMES)
    report = (out / "report.html").read_text(encoding="utf-8")
    assert all(f"{name}.svs" in report for name in (*NAMES, "d"))
    assert not list(out.rglob("*.tmp"))


def test_two_shards_at_once_end_as_one_run(folder, tmp_path):
    slides, plain = folder
    shards = [subprocess.Popen(command(*shard(slides, tmp_path, f"{part}/2")), env=environment()) for part in (1, 2)]
    assert [each.wait(timeout=600) for each in shards] == [0, 1]  # the one with the file that is no slide
    assert_the_same(tmp_path, plain)
    run, one = (json.loads((out / "run.json").read_text()) for out in (tmp_path, plain))
    assert run["finished"]
    assert run["shards"]["finished"] == run["shards"]["of"] == 2
    assert run["slides"] == one["slides"]
    again = pathopipe("run", slides, "--out", tmp_path, "--cluster", "serial", code=1)
    assert "4 of them unchanged" in again.stdout


def stop_out_of_turn(process, out):
    """Stop the run where it does not have its turn, which others would wait for."""
    while True:
        os.killpg(process.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED)
        with open(out / TURN, "rb") as file, suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        os.killpg(process.pid, signal.SIGCONT)
        time.sleep(0.02)


def test_a_shard_that_is_killed_keeps_nobody_waiting_and_goes_on(folder, tmp_path):
    slides, plain = folder
    first = command(*shard(slides, tmp_path, "1/2"))
    with subprocess.Popen(first, env=environment(), start_new_session=True) as killed:
        while not (tmp_path / "a" / "slide.json").exists():
            assert killed.poll() is None
            time.sleep(0.02)
        stop_out_of_turn(killed, tmp_path)  # else it may have ended before the other has begun
        refused = pathopipe(*shard(slides, tmp_path, "1/2"), code=1)
        os.killpg(killed.pid, signal.SIGKILL)
    assert "1/2" in refused.stderr
    pathopipe(*shard(slides, tmp_path, "2/2"), code=1)
    run = json.loads((tmp_path / "run.json").read_text())
    assert run["finished"] is None
    assert run["shards"]["finished"] == 1
    pathopipe(*shard(slides, tmp_path, "1/2"))
    assert_the_same(tmp_path, plain)


def test_more_shards_than_slides(folder, tmp_path):
    slides, _ = folder
    done = pathopipe("run", slides / "a.svs", "--out", tmp_path, "--cluster", "serial", "--shard", "2/2")
    assert "more shards than slides" in done.stdout
    planned = pathopipe("run", slides, "--out", tmp_path, "--cluster", "serial", "--shard", "1/4", "--dry-run")
    assert "a " in planned.stdout
