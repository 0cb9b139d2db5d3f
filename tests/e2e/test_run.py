"""The main job through the command line, on drawn slides whose truth is known."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time

import pytest

from pathopipe.synth.slide import draw_slide
from pathopipe.synth.spec import SynthSpec
from tests.support.cli import RESULTS, command, environment, pathopipe, results, summary


@pytest.fixture(scope="module")
def finished(drawn_slide, tmp_path_factory):
    """The drawn slide, analysed with two workers."""
    out = tmp_path_factory.mktemp("finished") / "out"
    done = pathopipe("run", drawn_slide.slide, "--out", out, "--workers", 2)
    return drawn_slide, out, done


@pytest.fixture(scope="module")
def small_slide(tmp_path_factory):
    """A drawn slide of 900 × 900 px, for what does not ask for many cells."""
    return draw_slide(tmp_path_factory.mktemp("small") / "drawn.svs", SynthSpec(width=900, height=900, seed=7))


def test_a_run_leaves_what_the_contract_names(finished):
    drawn, out, done = finished
    folder = out / "drawn"
    assert all((folder / name).is_file() for name in (*RESULTS, "slide.json"))
    assert (folder / "tiles.zarr" / "zarr.json").is_file()
    assert (out / "report.html").stat().st_size > 10_000
    about = json.loads((out / "run.json").read_text())
    assert about["model"]["name"] == "nuclei"
    assert about["finished"]
    row = summary(out)["drawn"]
    assert row["status"] == "complete"
    assert row["error"] == ""
    assert float(row["tissue_mm2"]) > 0.1
    assert int(row["cells"]) > 0.5 * drawn.nuclei
    assert float(row["cells_per_mm2"]) > 0
    assert "1 complete" in done.stdout
    assert not list(out.rglob("*.tmp"))


def test_most_drawn_nuclei_are_found(finished):
    drawn, out, _ = finished
    told = json.loads(pathopipe("evaluate", out / "drawn" / "cells.geojson.zip", drawn.truth, "--json").stdout)
    assert told["pooled"]["f1"] > 0.6


def test_the_geojson_is_what_qupath_reads(finished):
    _, out, _ = finished
    pathopipe("validate", out / "drawn" / "cells.geojson.zip", out / "drawn" / "annotations.geojson")


def test_a_second_run_does_nothing_and_says_so(finished):
    drawn, out, _ = finished
    before = {path: path.stat().st_mtime_ns for path in (out / "drawn").rglob("*")}
    done = pathopipe("run", drawn.slide, "--out", out, "--workers", 1)
    assert "nothing to do" in done.stdout
    assert {path: path.stat().st_mtime_ns for path in (out / "drawn").rglob("*")} == before


@pytest.mark.parametrize(
    "options",
    [("--cluster", "serial"), ("--workers", "1"), ("--workers", "2", "--set", "store.keep=false")],
    ids=["serial", "one worker", "nothing kept"],
)
def test_the_same_bytes_however_it_is_run(finished, tmp_path, options):
    drawn, out, _ = finished
    pathopipe("run", drawn.slide, "--out", tmp_path, *options)
    assert results(tmp_path / "drawn") == results(out / "drawn")


def test_a_changed_setting_redoes_what_depends_on_it_and_nothing_else(finished, tmp_path):
    drawn, out, _ = finished
    shutil.copytree(out, tmp_path / "out")
    folder = tmp_path / "out" / "drawn"
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "instances").iterdir()}
    done = pathopipe("run", drawn.slide, "--out", tmp_path / "out", "--coords", "level0", "-v")
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "instances").iterdir()} == before
    assert "1 complete" in done.stdout
    assert json.loads((folder / "slide.json").read_text())["status"] == "complete"


def test_kill_9_in_the_middle_and_the_same_command_again(finished, tmp_path):
    drawn, *_ = finished
    arguments = ("run", drawn.slide, "--out", tmp_path, "--workers", 2, "--set", "grid.tile_px=576")
    instances = tmp_path / "drawn" / "instances"
    with subprocess.Popen(
        command(*arguments), env=environment(), start_new_session=True, stderr=subprocess.DEVNULL
    ) as run:
        while len(list(instances.glob("*.npz"))) < 4:
            assert run.poll() is None, "the run ended before it could be killed"
            time.sleep(0.02)
        os.killpg(run.pid, signal.SIGKILL)
    kept = {path.name: path.stat().st_mtime_ns for path in instances.glob("*.npz")}
    assert json.loads((tmp_path / "drawn" / "slide.json").read_text())["status"] == "incomplete"

    pathopipe(*arguments)
    assert all((instances / name).stat().st_mtime_ns == made for name, made in kept.items())
    undisturbed = tmp_path / "undisturbed"
    pathopipe("run", drawn.slide, "--out", undisturbed, "--cluster", "serial", "--set", "grid.tile_px=576")
    assert results(tmp_path / "drawn") == results(undisturbed / "drawn")
    assert not list(tmp_path.rglob("*.tmp"))


def test_one_bad_slide_never_stops_the_others(small_slide, tmp_path):
    slides = tmp_path / "slides"
    slides.mkdir()
    shutil.copy(small_slide.slide, slides / "good one é.svs")
    (slides / "empty.svs").touch()
    (slides / "text.svs").write_text("this is no slide")
    (slides / "cut.svs").write_bytes(small_slide.slide.read_bytes()[:20_000])
    (slides / "notes.txt").write_text("seen by nobody")
    arguments = ("run", slides, "--out", tmp_path / "out")
    done = pathopipe(*arguments, "--workers", 2, code=1)
    rows = summary(tmp_path / "out")
    assert {name: row["status"] for name, row in rows.items()} == {
        "cut": "failed",
        "empty": "failed",
        "good one é": "complete",
        "text": "failed",
    }
    for name in ("cut", "empty", "text"):
        assert rows[name]["error"], name
        assert rows[name]["cells"] == ""  # absent, never zero
    assert "1 complete, 3 failed" in done.stdout
    assert ".txt" in done.stderr

    # the broken ones mended: the same command does just these
    for name in ("cut", "empty", "text"):
        shutil.copy(small_slide.slide, slides / f"{name}.svs")
    made = (tmp_path / "out" / "good one é" / "cells.parquet").stat().st_mtime_ns
    pathopipe(*arguments, "--cluster", "serial")
    assert (tmp_path / "out" / "good one é" / "cells.parquet").stat().st_mtime_ns == made
    assert {row["status"] for row in summary(tmp_path / "out").values()} == {"complete"}


def test_two_slides_of_one_stem_never_share_a_folder(small_slide, tmp_path):
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        shutil.copy(small_slide.slide, tmp_path / name / "same.svs")
        pathopipe("run", tmp_path / name, "--out", tmp_path / "out", "--cluster", "serial")
    rows = summary(tmp_path / "out")
    assert len(rows) == 2
    assert len({row["slide"] for row in rows.values()}) == 2


def test_dry_run_writes_nothing_and_tells_the_plan(small_slide, tmp_path):
    done = pathopipe("run", small_slide.slide, "--out", tmp_path / "out", "--dry-run")
    assert "drawn" in done.stdout
    assert "in all" in done.stdout
    assert not (tmp_path / "out").exists()


def test_tile_stores_tissue_alone(small_slide, tmp_path):
    import zarr

    pathopipe("tile", small_slide.slide, "--out", tmp_path, "--workers", 1)
    group = zarr.open_group(tmp_path / "drawn" / "tiles.zarr", mode="r")
    assert group["0"].shape[0] == 3
    assert not (tmp_path / "drawn" / "cells.parquet").exists()


def test_an_output_folder_in_use_is_refused(small_slide, tmp_path):
    import fcntl

    with open(tmp_path / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = pathopipe("run", small_slide.slide, "--out", tmp_path, "--cluster", "serial", code=1)
    assert "another run is writing" in done.stderr
