"""Training: patches, targets, and a run that is interrupted."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from pathopipe.errors import ModelError
from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_card
from pathopipe.models.network import NetSpec
from pathopipe.models.train import ImageSet, TrainSpec, fit
from pathopipe.models.train.dataset import load_samples
from pathopipe.models.train.drawn import draw
from pathopipe.models.train.patches import Patches
from pathopipe.models.train.targets import star_distances, targets

SMALL = NetSpec(widths=(8, 8, 8), blocks=(1, 1, 1), head=8, rays=8)


def quick(tmp_path, **changes):
    values = {"out": tmp_path / "m.safetensors", "net": SMALL, "batch": 2, "patch_px": 64, "workers": 0}
    return TrainSpec(**{**values, "iterations": 10, "checkpoint_every": 4, **changes})


def images(folder, *names):
    rng = np.random.default_rng(0)
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for name in names:
        amount, labels = draw(rng, 96)
        rgb = np.repeat((255 * np.exp(-2 * amount))[..., None], 3, axis=2).astype(np.uint8)
        cv2.imwrite(str(folder / "images" / f"{name}.png"), rgb)
        cv2.imwrite(str(folder / "labels" / f"{name}.png"), labels.astype(np.uint16))
    return folder


class Killed(Exception):
    pass


def test_ten_steps_write_a_model_that_loads(tmp_path):
    seen = []
    path = fit(quick(tmp_path), seen.append)
    assert load_card(ModelSpec(name=str(path))).data == ("images drawn by pathopipe, 100% of 20 patches",)
    assert (seen[-1].step, seen[-1].steps) == (10, 10)
    assert np.isfinite(seen[-1].loss)
    assert seen[-1].f1 is None


def test_an_interrupted_run_ends_with_the_same_weights(tmp_path, monkeypatch):
    straight = fit(quick(tmp_path / "a"), lambda *_: None)
    from pathopipe.models.train import loop

    step = loop.take_step

    def dying(state, *rest):
        if state.step == 6:
            raise Killed
        return step(state, *rest)

    monkeypatch.setattr(loop, "take_step", dying)
    with pytest.raises(Killed):
        fit(quick(tmp_path / "b"), lambda *_: None)
    monkeypatch.setattr(loop, "take_step", step)
    resumed = fit(quick(tmp_path / "b"), lambda *_: None)
    assert resumed.read_bytes() == straight.read_bytes()
    assert json.loads((tmp_path / "b" / "m.safetensors.losses.jsonl").read_text().splitlines()[-1])["step"] == 10


def test_a_checkpoint_of_other_settings_is_not_continued(tmp_path):
    fit(quick(tmp_path, iterations=4), lambda *_: None)
    with pytest.raises(ModelError, match="other settings"):
        fit(quick(tmp_path, iterations=8), lambda *_: None)


def test_held_out_images_are_not_trained_on(tmp_path):
    folder = images(tmp_path / "set", "a", "b", "c")
    (folder / "groups.csv").write_text("id,group\na,pink\nb,pink\nc,blue\n")
    held_out, weighted = ImageSet(folder=folder, held_out=("blue",), group_weights={"pink": 3}), TrainSpec
    training, kept_back = load_samples(weighted(sets=(held_out,)))
    assert [sample.id for sample in training] == ["a", "b"]
    assert [sample.id for sample in kept_back] == ["c"]
    assert training[0].weight == 3


def test_images_without_mpp_are_scaled_by_their_nuclei(tmp_path):
    folder = images(tmp_path / "set", "a")
    (sample,), _ = load_samples(TrainSpec(sets=(ImageSet(folder=folder),)))
    areas = np.bincount(sample.labels.ravel())[1:]
    diameter = 2 * np.sqrt(np.median(areas[areas > 0]) / np.pi)
    assert diameter * sample.scale == pytest.approx(12.5, rel=0.05)
    (sample,), _ = load_samples(TrainSpec(sets=(ImageSet(folder=folder, mpp=0.4),)))
    assert sample.scale == pytest.approx(0.8)


def test_a_patch_is_the_same_whenever_it_is_made(tmp_path):
    spec = quick(tmp_path, sets=(ImageSet(folder=images(tmp_path / "set", "a", "b")),), drawn=0.5)
    training, _ = load_samples(spec)
    patches = Patches(spec, training)
    for index in range(6):
        first, again = patches[index], Patches(spec, training)[index]
        assert all((one == other).all() for one, other in zip(first, again, strict=True))
        assert first[0].shape == (3, 64, 64)
        assert first[1].shape == (4, 32, 32)


def test_a_folder_without_images_is_an_error(tmp_path):
    with pytest.raises(ModelError, match=r"images/\*\.png"):
        fit(quick(tmp_path, sets=(ImageSet(folder=tmp_path),)), lambda *_: None)


def test_labels_that_do_not_fit_are_named(tmp_path):
    folder = images(tmp_path / "set", "a")
    cv2.imwrite(str(folder / "labels" / "a.png"), np.ones((5, 5), np.uint16))
    with pytest.raises(ModelError, match=r"a\.png has shape"):
        load_samples(TrainSpec(sets=(ImageSet(folder=folder),)))


def test_targets_of_a_disc():
    labels = cv2.circle(np.zeros((64, 64), np.uint8), (31, 31), 12, 1, -1).astype(np.int32)
    found = targets(labels, 8, np.random.default_rng(0))
    assert found.probability[15, 15] == pytest.approx(1, abs=0.1)
    assert found.probability[0, 0] == 0
    assert found.foreground.sum() * 4 == (labels > 0).sum()
    assert found.boundary[15, 15] == 0
    assert found.boundary.any()
    inside = star_distances(labels[::2, ::2], (np.array([15]), np.array([15])), 8)
    np.testing.assert_allclose(inside[:, 0], 6, atol=1.6)
