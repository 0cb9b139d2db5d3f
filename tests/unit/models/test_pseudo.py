"""Self-training: what a teacher is sure of is learnt, what it is unsure of is not."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from pathopipe.errors import ModelError
from pathopipe.models.train import ImageSet, TrainSpec, UnlabelledSet, fit
from pathopipe.models.train.classes import NOT_ANNOTATED
from pathopipe.models.train.dataset import load_samples
from pathopipe.models.train.pseudo import unlabelled_files
from pathopipe.models.train.record import set_digest

SMALL = {"net": {"widths": (8, 8, 8), "blocks": (1, 1, 1), "head": 8, "rays": 8}, "batch": 2, "patch_px": 64}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An image at 0.25 µm/px with nine nuclei of 7 µm that fade from dark to invisible."""
    folder = tmp_path_factory.mktemp("tiles")
    rgb = np.full((240, 240, 3), (235, 205, 225), np.float32)
    for number, strength in enumerate(np.linspace(1, 0.02, 9)):
        y, x = 40 + 80 * (number // 3), 40 + 80 * (number % 3)
        disc = cv2.circle(np.zeros((240, 240), np.float32), (x, y), 14, 1, -1)[..., None] * strength
        rgb = rgb * (1 - disc) + np.array((90, 60, 140), np.float32) * disc
    rgb = cv2.GaussianBlur(rgb, (0, 0), 1) + np.random.default_rng(0).normal(0, 3, rgb.shape)
    (folder / "inner").mkdir()
    cv2.imwrite(str(folder / "inner" / "tile.png"), np.clip(rgb, 0, 255).astype(np.uint8)[..., ::-1])
    (folder / "notes.txt").write_text("nothing")
    return folder


def samples(folder, **settings):
    return load_samples(TrainSpec(sets=(UnlabelledSet(unlabelled=folder, mpp=0.25, **settings),)))


def test_sure_nuclei_are_labelled_and_doubtful_pixels_left_out(folder):
    (sample,), held_out = samples(folder, sure=0.6)
    assert held_out == []
    assert sample.labels.shape == (120, 120)  # at the teacher's resolution, which is the training's
    assert sample.scale == pytest.approx(1)
    assert sample.labels[20, 20] > 0  # the darkest
    assert sample.labels[100, 100] == 0  # the invisible one
    assert sample.marks[0, 0] == 0  # background, and known to be
    unsure = sample.marks == NOT_ANNOTATED
    assert 0 < unsure.mean() < 0.3
    assert not (unsure & (sample.labels > 0)).any()


def test_the_surer_the_teacher_has_to_be_the_less_is_labelled(folder):
    lax, strict = (samples(folder, sure=sure)[0][0] for sure in (0.4, 0.99))
    assert len(np.unique(lax.labels)) > len(np.unique(strict.labels)) == 1
    assert (strict.marks == NOT_ANNOTATED).sum() > (lax.marks == NOT_ANNOTATED).sum()


def test_they_are_trained_on_and_told_on_the_card(folder, tmp_path):
    unlabelled = UnlabelledSet(unlabelled=folder, mpp=0.25, licence="CC0", title="tiles")
    spec = TrainSpec.model_validate(
        {**SMALL, "out": tmp_path / "m.safetensors", "sets": (unlabelled,), "iterations": 2, "workers": 0, "drawn": 0.5}
    )
    path = fit(spec.model_copy(update={"hold_out_share": 0.9}), lambda _: None)
    from pathopipe.models.card import read_model_file

    assert read_model_file(path).card.data[0] == "tiles, labelled by the model nuclei (CC0)"


def test_files_are_left_out_by_name(folder, tmp_path):
    assert [path.name for path in unlabelled_files(UnlabelledSet(unlabelled=folder, mpp=1))] == ["tile.png"]
    with pytest.raises(ModelError, match="no images in"):
        samples(folder, leave_out=("ti*",))
    with pytest.raises(ModelError, match=r"tile\.png has 24000 × 24000 pixels"):
        load_samples(TrainSpec(sets=(UnlabelledSet(unlabelled=folder, mpp=50),)))
    assert set_digest(UnlabelledSet(unlabelled=folder, mpp=1)) != set_digest(UnlabelledSet(unlabelled=tmp_path, mpp=1))


def test_sets_are_told_apart_by_their_keys():
    kinds = [type(each) for each in TrainSpec(sets=({"unlabelled": "a", "mpp": 0.5}, {"folder": "b"})).sets]
    assert kinds == [UnlabelledSet, ImageSet]
    with pytest.raises(ValidationError, match="mpp"):
        TrainSpec(sets=({"unlabelled": "a"},))
