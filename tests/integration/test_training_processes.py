"""Training in processes of their own: killed and resumed, and several that train one network."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from functools import partial

import pytest
import torch
import yaml

from pathopipe.errors import ModelError
from pathopipe.models.train import TrainSpec, fit
from pathopipe.models.train.log import read_log
from pathopipe.models.train.patches import Patches
from pathopipe.models.train.ranks import together
from pathopipe.models.train.state import begun, take_step
from tests.support.cli import command, environment, pathopipe
from tests.support.training_sets import write_drawn_set

NET = {"widths": [8, 8, 8], "blocks": [1, 1, 1], "head": 8, "rays": 8}
SMALL = {"net": NET, "batch": 4, "patch_px": 64, "workers": 0, "device": "cpu"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three drawn images with their labels; c is to be held out."""
    return write_drawn_set(tmp_path_factory.mktemp("set"))


def test_a_run_ended_and_killed_and_resumed_gives_the_same_bytes(folder, tmp_path):
    settings = {
        **SMALL,
        "batch": 2,
        "iterations": 40,
        "checkpoint_every": 3,
        "sets": [{"folder": str(folder), "mpp": 0.5, "held_out": ["c"]}],
        "validation": {"every": 7, "keep": "best", "patience": 50},
    }
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    out = tmp_path / "killed" / "m.safetensors"
    arguments = ("train", "--config", tmp_path / "config.yaml", "--out", out, "-q")
    log = out.with_name("m.safetensors.losses.jsonl")
    for times, number in enumerate((signal.SIGTERM, signal.SIGKILL), start=1):
        with subprocess.Popen(command(*arguments), env=environment(), stderr=subprocess.PIPE, text=True) as process:
            while process.poll() is None and sum("f1" in line for line in read_log(log)) < times:
                time.sleep(0.02)
            process.send_signal(number)
            said = process.stderr.read()
        assert process.returncode == (-number if number == signal.SIGKILL else 130)
        assert number == signal.SIGKILL or "run the same command again" in said
        assert "Traceback" not in said
        assert not out.exists()
        assert 0 < torch.load(f"{out}.checkpoint", weights_only=True)["step"] < 40
    pathopipe(*arguments)
    straight = fit(TrainSpec.model_validate({**settings, "out": tmp_path / "m.safetensors"}), lambda _: None)
    assert out.read_bytes() == straight.read_bytes()
    assert log.read_bytes() == straight.with_name(log.name).read_bytes()


def test_two_processes_take_the_same_steps(tmp_path):
    spec = TrainSpec.model_validate(
        {**SMALL, "out": tmp_path / "m.safetensors", "iterations": 30, "processes": 2, "learning_rate": 5e-3}
    )
    fit(spec, lambda _: None)
    losses = [line["loss"] for line in read_log(tmp_path / "m.safetensors.losses.jsonl")]
    assert [line["step"] for line in read_log(tmp_path / "m.safetensors.losses.jsonl")] == [20, 30]
    assert losses[1] < losses[0]
    assert json.loads((tmp_path / "m.safetensors.run.json").read_text())["machine"]["processes"] == 2


def follow(folder, ranks):
    """Three steps on this process's part of the batches; the weights go to a file of its own."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    spec = TrainSpec.model_validate(SMALL)
    state = begun(spec, ranks.device)
    patches, part = Patches(spec, []), spec.batch // ranks.count
    state.net.train()
    for step in range(3):
        first = step * spec.batch + ranks.rank * part
        batch = [torch.stack(each) for each in zip(*(patches[first + i] for i in range(part)), strict=True)]
        loss = take_step(state, batch, spec, ranks, bf16=False)
    torch.save({"net": state.net.state_dict(), "average": state.average, "loss": loss}, folder / f"{ranks.rank}.pt")
    ranks.agreed(True)


def test_all_processes_hold_the_same_weights(tmp_path):
    with together(2, False, partial(follow, tmp_path)) as ranks:
        follow(tmp_path, ranks)
    one, other = (torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert one["loss"] == other["loss"]
    for part in ("net", "average"):
        assert one[part].keys() == other[part].keys()
        assert all(torch.equal(value, other[part][name]) for name, value in one[part].items())


def fail(ranks):
    raise SystemExit(3)


def wait_for_one_that_fails():
    with together(2, False, fail) as ranks:
        ranks.average([torch.zeros(3)])


def test_a_process_that_fails_is_told():
    with pytest.raises(ModelError, match="one of the 2 training processes failed"):
        wait_for_one_that_fails()
