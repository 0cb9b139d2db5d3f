"""A training run: resumed, shared among processes, validated, stopped early, recorded."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
import torch
import yaml

from pathopipe.errors import ConfigError, ModelError
from pathopipe.evaluation import evaluate_labels
from pathopipe.geometry import Box
from pathopipe.models.base import ModelSpec
from pathopipe.models.card import _KEY, DecodeSpec, _metadata
from pathopipe.models.inference import TileOutput
from pathopipe.models.load import load_card
from pathopipe.models.network import NetSpec
from pathopipe.models.precision import takes_bf16
from pathopipe.models.train import ImageSet, TrainSpec, fit
from pathopipe.models.train.checkpoint import Checkpoint
from pathopipe.models.train.log import Log, read_log
from pathopipe.models.train.origin import resolved
from pathopipe.models.train.patches import Patches, _Order
from pathopipe.models.train.ranks import Ranks
from pathopipe.models.train.record import set_digest
from pathopipe.models.train.state import begun, rate_at, take_step
from pathopipe.models.train.targets import star_distances, targets
from pathopipe.models.train.validate import Seen, labels_of
from tests.support.training_sets import write_drawn_set

NET = {"widths": [8, 8, 8], "blocks": [1, 1, 1], "head": 8, "rays": 8}
SMALL = {"net": NET, "batch": 2, "patch_px": 64, "workers": 0, "device": "cpu", "iterations": 12}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three drawn images with their labels; c is to be held out."""
    return write_drawn_set(tmp_path_factory.mktemp("set"))


def quick(tmp_path, **changes):
    return TrainSpec.model_validate({**SMALL, "out": tmp_path / "m.safetensors", **changes})


def held_out(folder):
    return (ImageSet(folder=folder, mpp=0.5, held_out=("c",), licence="CC0"),)


def test_a_finished_run_does_nothing_again(folder, tmp_path):
    spec = quick(tmp_path, iterations=3, sets=held_out(folder))
    content = fit(spec, lambda _: None).read_bytes()
    seen = []
    assert fit(spec, seen.append).read_bytes() == content
    assert [(now.step, now.loss) for now in seen] == [(3, None)]


def test_changed_images_are_not_taken_for_the_same_run(folder, tmp_path):
    spec = quick(tmp_path, iterations=2, sets=(ImageSet(folder=folder, mpp=0.5),))
    fit(spec, lambda _: None)
    path = folder / "groups.csv"
    path.write_text("id,group\na,x\nb,x\nc,x\n")
    try:
        with pytest.raises(ModelError, match="other settings or images"):
            fit(spec, lambda _: None)
    finally:
        path.unlink()


def test_a_damaged_checkpoint_is_told(tmp_path):
    spec = quick(tmp_path)
    checkpoint = Checkpoint(spec, [])
    checkpoint.path.write_bytes(b"PK\x03\x04 nothing")
    with pytest.raises(ModelError, match=r"cannot read .*remove it to start anew"):
        checkpoint.resume(begun(spec, torch.device("cpu")), torch.device("cpu"))


def test_checkpoints_are_due_by_steps_and_by_time(tmp_path):
    checkpoint = Checkpoint(quick(tmp_path, checkpoint_every=5, checkpoint_minutes=60), [])
    assert [step for step in range(1, 11) if checkpoint.due(step)] == [5, 10]
    assert Checkpoint(quick(tmp_path, checkpoint_every=5, checkpoint_minutes=1e-9), []).due(1)


@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_the_processes_share_every_batch(tmp_path, ranks):
    spec = quick(tmp_path, batch=4, iterations=5)
    parts = [list(_Order(spec, 2, rank, ranks)) for rank in range(ranks)]
    size = spec.batch // ranks
    for step in range(3):
        shared = [index for part in parts for index in part[step * size : (step + 1) * size]]
        assert shared == list(range((step + 2) * 4, (step + 3) * 4))


def test_a_batch_that_cannot_be_shared_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="batch: 2 patches cannot be shared evenly by 3"):
        fit(quick(tmp_path, processes=3), lambda _: None)


def test_validation_is_logged_told_and_on_the_card(folder, tmp_path):
    seen = []
    spec = quick(tmp_path, iterations=10, sets=held_out(folder), validation={"every": 4})
    path = fit(spec, seen.append)
    scores = [line for line in read_log(tmp_path / "m.safetensors.losses.jsonl") if "f1" in line]
    assert [line["step"] for line in scores] == [4, 8, 10]
    assert {"step", "f1", "pq", "aji"} == scores[0].keys()
    assert seen[-1].f1 is not None
    (line,) = load_card(ModelSpec(name=str(path))).accuracy
    assert line.startswith("1 held-out images at step 10: F1 ")


def test_training_stops_when_nothing_improves(folder, tmp_path):
    spec = quick(
        tmp_path,
        iterations=50,
        learning_rate=1e-9,  # the F1 stays at 0
        sets=held_out(folder),
        validation={"every": 2, "patience": 3, "keep": "best"},
    )
    path = fit(spec, lambda _: None)
    told = json.loads((tmp_path / "m.safetensors.run.json").read_text())
    assert (told["steps"], told["stopped_early"], told["finished"]) == (8, True, True)
    assert told["validation"]["best"]["step"] == 2
    assert load_card(ModelSpec(name=str(path))).accuracy[0].startswith("1 held-out images at step 2:")
    content = path.read_bytes()
    assert fit(spec, lambda _: None).read_bytes() == content


def test_the_weights_to_begin_from_are_measured_first_and_named(folder, tmp_path):
    first = fit(quick(tmp_path, iterations=2, name="first"), lambda _: None)
    spec = quick(
        tmp_path / "next",
        start=first,
        iterations=4,
        sets=held_out(folder),
        validation={"every": 2, "keep": "best"},
        learning_rate=1e-9,
    )
    path = fit(spec, lambda _: None)
    log = read_log(path.with_name("m.safetensors.losses.jsonl"))
    assert [line["step"] for line in log if "f1" in line] == [0, 2, 4]
    card = load_card(ModelSpec(name=str(path)))
    assert card.accuracy[0].startswith("1 held-out images at step 0:")
    assert card.data[-1] == "begun from first 1: images drawn by pathopipe, 100% of 4 patches"


def test_the_best_weights_are_kept_where_they_are_asked_for(tmp_path):
    for keep in (True, False):
        state = begun(quick(tmp_path), torch.device("cpu"))
        name = next(iter(state.average))
        for step, f1 in enumerate([None, 0.2, 0.5, 0.4, 0.5, None]):
            state.average[name].fill_(step)
            state.judged({"step": step, "f1": f1, "pq": f1, "aji": f1}, keep)
        assert state.best_scores["step"] == 2
        assert state.waited == 3
        assert (state.best is not None and float(state.best[name].max()) == 2) if keep else state.best is None


def test_a_network_that_knows_the_truth_scores_high():
    labels = np.zeros((96, 80), np.int32)
    for number, (x, y, r) in enumerate([(20, 20, 8), (50, 30, 10), (0, 60, 9), (60, 70, 7), (40, 95, 8)], start=1):
        labels[cv2.circle(np.zeros(labels.shape, np.uint8), (x, y), r, 1, -1) > 0] = number
    inside, read = Box(0, 0, 80, 96), Box(-32, -32, 112, 128)
    tile = cv2.copyMakeBorder(labels, 32, 32, 32, 32, cv2.BORDER_REFLECT)
    true, half = targets(tile, 8, np.random.default_rng(0)), tile[::2, ::2]
    maps = np.stack([true.probability, true.foreground])

    def distances(positions):
        return star_distances(half, np.unravel_index(positions, half.shape), 8).T

    found = labels_of(Seen(TileOutput(maps, distances), inside, read), DecodeSpec(), 64)
    agreement = evaluate_labels(found, labels)
    assert (agreement.truth, agreement.predicted, agreement.true_positives) == (5, 5, 5)
    assert agreement.sq > 0.85


def test_a_resumed_log_forgets_what_came_after_the_checkpoint(tmp_path):
    log = Log(tmp_path / "log.jsonl", 0)
    for step in (20, 40, 60):
        log.add(step=step, loss=1 / step)
    with open(log.path, "a") as file:
        file.write('{"step": 80, "lo')
    assert [line["step"] for line in read_log(log.path)] == [20, 40, 60]
    Log(log.path, 40)
    assert [line["step"] for line in read_log(log.path)] == [20, 40]


def test_the_rate_rises_and_falls():
    spec = TrainSpec(iterations=100, warm_up=10, learning_rate=1e-2)
    rates = [rate_at(step, spec) for step in range(100)]
    assert rates[0] == pytest.approx(1e-3, rel=0.01)
    assert max(rates) == pytest.approx(1e-2, rel=0.03)
    assert rates[-1] < 1e-4
    assert rate_at(99, spec.model_copy(update={"schedule": "constant"})) == pytest.approx(1e-2, rel=0.01)
    assert rate_at(0, spec.model_copy(update={"warm_up": 0})) == pytest.approx(1e-2, rel=0.01)


def test_bf16_on_a_cpu_only_where_it_has_it(monkeypatch, tmp_path):
    from pathopipe.models import precision

    for flags, wanted, taken in [
        ({"avx512_bf16"}, "auto", True),
        ({"avx512_bf16"}, "on", True),
        ({"amx_bf16"}, "off", False),
        ({"avx2"}, "auto", False),
    ]:
        monkeypatch.setattr(precision, "_cpu_flags", lambda flags=flags: frozenset(flags))
        assert takes_bf16(wanted, "cpu") is taken
    with pytest.raises(ConfigError, match="bfloat16"):
        takes_bf16("on", "cpu")
    assert TrainSpec.model_validate(yaml.safe_load("bf16: on")).bf16 == "on"
    assert takes_bf16("auto", "cuda")


def test_a_step_in_bf16_is_close_to_one_in_float32(tmp_path):
    found = []
    for bf16 in (False, True):
        torch.manual_seed(0)
        spec = quick(tmp_path)
        state = begun(spec, torch.device("cpu"))
        batch = [part[None] for part in Patches(spec, [])[0]]
        found.append(take_step(state, batch, spec, Ranks(torch.device("cpu")), bf16))
    assert found[1] == pytest.approx(found[0], rel=0.02)
    assert found[1] != found[0]


def test_what_it_was_made_of_is_recorded_and_travels_in_the_model(folder, tmp_path):
    spec = quick(tmp_path, iterations=2, sets=held_out(folder), validation={"every": 0})
    path = fit(spec, lambda _: None)
    told = json.loads((tmp_path / "m.safetensors.run.json").read_text())
    inside = json.loads(_metadata(path.read_bytes())[_KEY])["training"]
    assert told["data"][0]["sha256"] == inside["data"][0]["sha256"] == set_digest(spec.sets[0])
    assert told["images"] == {"trained": ["a", "b"], "held_out": ["c"]}
    assert told["settings"]["seed"] == 1
    assert inside["images"] == {"trained": 2, "held_out": 1}
    assert inside["versions"] == told["versions"]
    assert str(tmp_path) not in json.dumps(inside)
    assert str(folder) not in json.dumps(inside)


def test_the_digest_knows_names_and_bytes(tmp_path):
    found = []
    for name, content in (("a", b"x"), ("b", b"x"), ("a", b"y")):
        folder = tmp_path / str(len(found))
        (folder / "images").mkdir(parents=True)
        (folder / "images" / f"{name}.png").write_bytes(content)
        found.append(set_digest(ImageSet(folder=folder)))
    assert len(set(found)) == 3


def test_a_start_brings_its_own_network_and_scale(tmp_path):
    first = fit(quick(tmp_path, iterations=1, mpp=0.4, threshold=0.6), lambda _: None)
    spec = TrainSpec.model_validate({"start": first, "out": tmp_path / "next.safetensors", "threshold": 0.7})
    known = resolved(spec)
    assert (known.net, known.mpp, known.threshold) == (NetSpec(**NET), 0.4, 0.7)
    shipped = resolved(TrainSpec(start="nuclei"))
    assert shipped.start.name == "nuclei.safetensors"
