"""Training from the command line, and a run with the model that comes out."""

from __future__ import annotations

from pathopipe.synth.slide import draw_slide
from pathopipe.synth.spec import SynthSpec
from tests.support.cli import pathopipe, summary


def test_a_trained_model_runs(tmp_path):
    drawn = draw_slide(tmp_path / "drawn.svs", SynthSpec(width=900, height=900, seed=7))
    config = tmp_path / "config.yaml"
    config.write_text("iterations: 4\nbatch: 2\npatch_px: 96\nworkers: 0\nname: mine\nclass_name: Cell\n")
    done = pathopipe("train", "--config", config, "--set", "iterations=3", "--out", tmp_path / "mine.safetensors", "-v")
    assert done.stdout.strip().endswith("mine.safetensors")
    assert "step 3 of 3: loss" in done.stderr
    assert (tmp_path / "mine.safetensors.curves.png").exists()
    model = tmp_path / "mine.safetensors"
    assert "Cell" in pathopipe("models", model).stdout
    pathopipe("run", drawn.slide, "--out", tmp_path / "out", "--model", model, "--cluster", "serial")
    assert summary(tmp_path / "out")["drawn"]["status"] == "complete"


def test_a_wrong_training_setting_is_told(tmp_path):
    (tmp_path / "config.yaml").write_text("iterations: 4\n")
    done = pathopipe("train", "--config", tmp_path / "config.yaml", "--set", "iteration=3", code=2)
    assert "iteration: no such key" in done.stderr


def test_a_file_that_is_no_model_is_told(drawn_slide, tmp_path):
    (tmp_path / "bad.safetensors").write_bytes(b"nothing" * 10)
    done = pathopipe(
        "run", drawn_slide.slide, "--out", tmp_path / "out", "--model", tmp_path / "bad.safetensors", code=1
    )
    assert "is not a" in done.stderr
