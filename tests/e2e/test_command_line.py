"""Usage, help and errors: what a new user meets first."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.support.cli import command, environment, pathopipe

COMMANDS = (
    "run",
    "demo",
    "info",
    "tile",
    "validate",
    "models",
    "evaluate",
    "agreement",
    "train",
    "synth",
    "score",
    "report",
    "doctor",
)


def test_import_and_help_load_neither_torch_nor_distributed():
    code = (
        "import sys, pathopipe, pathopipe.cli.app\n"
        "loaded = {'torch', 'distributed', 'dask', 'zarr', 'openslide', 'cv2'} & set(sys.modules)\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_help_lists_every_command():
    told = pathopipe("--help").stdout
    assert all(f" {name} " in told for name in COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name):
    assert f"pathopipe {name}" in pathopipe(name, "--help").stdout.split("Options")[0]


def test_version_of_a_python_that_has_imported_nothing():
    told = subprocess.run(command("--version"), env=environment(), capture_output=True, text=True, check=True).stdout
    assert told.startswith("pathopipe ")


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["run"], "Missing argument"),
        (["run", "a.svs"], "Missing option"),
        (["run", "a.svs", "--out", "out", "--mpp", "0"], "0"),
        (["run", "a.svs", "--out", "out", "--set", "grid.tile=5"], "no such key; grid has: tile_px, halo_px"),
        (["run", "a.svs", "--out", "out", "--set", "grids.tile_px=5"], "no section 'grids'"),
        (["run", "a.svs", "--out", "out", "--set", "tile_px=5"], "expected section.key=value"),
        (["run", "a.svs", "--out", "out", "--set", "grid.tile_px=big"], "grid.tile_px"),
        (["run", "a.svs", "--out", "out", "--config", "none.yaml"], "cannot read the configuration none.yaml"),
        (["run", ".", "--out", "out"], "no slides found"),
        (["walk"], "No such command"),
    ],
)
def test_wrong_usage_exits_with_2_and_says_why(tmp_path, monkeypatch, arguments, complaint):
    monkeypatch.chdir(tmp_path)
    done = pathopipe(*arguments, code=2)
    assert complaint in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_unknown_model_is_told_with_those_there_are(tmp_path):
    (tmp_path / "a.svs").write_bytes(b"x")
    done = pathopipe("run", tmp_path / "a.svs", "--out", tmp_path / "out", "--model", "cells9000", code=None)
    assert done.returncode in (1, 2)
    assert "nuclei" in done.stderr


def test_models_tells_the_card():
    told = pathopipe("models", "nuclei").stdout
    assert "CC0" in told
    assert "µm/px" in told


def test_info_as_json(drawn_slide):
    told = json.loads(pathopipe("info", drawn_slide.slide, "--json").stdout)
    assert told["mpp"]["x"] == pytest.approx(0.25)
    assert told["width_px"] == told["height_px"] == 3000
