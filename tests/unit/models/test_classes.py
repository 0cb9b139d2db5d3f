"""Classes: the network's head, the loss, the class of a nucleus, and what a new head keeps."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pathopipe.errors import ModelError
from pathopipe.models.base import ModelSpec
from pathopipe.models.card import DecodeSpec, metadata_of, read_model_file
from pathopipe.models.classify import CLASS_PROBABILITY, classified
from pathopipe.models.inference import infer
from pathopipe.models.load import load_card, load_predictor
from pathopipe.models.net_file import begun_from, load_net, told_of_start
from pathopipe.models.network import NetSpec, StarNet, folded, reach_px
from pathopipe.models.train import ImageSet, fit
from pathopipe.models.train.classes import NOT_ANNOTATED, ClassTable
from pathopipe.models.train.judge import judged
from pathopipe.models.train.losses import class_loss, star_loss
from pathopipe.models.train.spec import LossSpec, TrainSpec
from pathopipe.models.train.write import write_model
from tests.support.classed import CLASSES, draw_classed, write_folder

ONE = NetSpec(widths=(8, 8, 8), blocks=(1, 1, 1), head=8, rays=8)
THREE = ONE.model_copy(update={"classes": 3})
NAMES = ("Tumor", "Immune cells", "Stroma")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def written(path, net, classes):
    torch.manual_seed(1)
    named = {"classes": classes} if len(classes) > 1 else {"class_name": classes[0]}
    write_model(TrainSpec(out=path, net=net, threshold=0.05, **named), StarNet(net), 1)
    return path


def test_a_network_of_one_class_is_as_it_was():
    assert ONE.outputs == 3 + ONE.rays
    assert not any(name.startswith("classes") for name in StarNet(ONE).state_dict())
    assert StarNet(ONE)(torch.zeros(1, 3, 32, 32)).shape == (1, ONE.outputs, 16, 16)


def test_a_class_head_adds_channels_and_changes_no_other():
    torch.manual_seed(2)
    one = StarNet(ONE).eval()
    three = StarNet(THREE).eval()
    three.load_state_dict(one.state_dict(), strict=False)
    image = torch.rand(1, 3, 64, 64)
    assert torch.equal(three(image)[:, : ONE.outputs], one(image))
    assert three(image).shape[1] == ONE.outputs + 3


def test_a_class_head_does_not_widen_the_receptive_field():
    net, size = StarNet(THREE).eval().double(), 256
    assert reach_px(THREE) == reach_px(ONE)
    for centre in range(size // 2, size // 2 + 8, 2):
        image = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
        net(image)[0, ONE.outputs :, centre // 2, centre // 2].sum().backward()
        rows, cols = np.nonzero(image.grad.abs().sum(dim=(0, 1)).numpy())
        assert min(rows.min(), cols.min()) >= centre - reach_px(THREE)
        assert max(rows.max(), cols.max()) <= centre + 1 + reach_px(THREE)


def test_the_class_loss_is_the_mean_over_pixels_of_known_class():
    logits = torch.zeros(1, 2, 1, 4)
    logits[0, 0] = torch.tensor([2.0, 0.0, 5.0, 7.0])
    marks = torch.tensor([[[1.0, 2.0, 0.0, float(NOT_ANNOTATED)]]])
    expected = (np.log(1 + np.exp(-2)) + np.log(2)) / 2
    assert class_loss(logits, marks).item() == pytest.approx(expected, abs=1e-6)
    assert class_loss(logits, marks * 0).item() == 0


@pytest.mark.parametrize("kind", ["bce", "focal"])
def test_nothing_is_learnt_where_nothing_is_known(kind):
    torch.manual_seed(1)
    out = torch.randn(2, THREE.outputs, 6, 6, requires_grad=True)
    maps = torch.rand(2, 4, 6, 6)
    maps[:, 3] = torch.randint(0, 4, (2, 6, 6)).float()
    maps[:, 3, 2:4, 1:5] = NOT_ANNOTATED
    distances, weight = torch.rand(2, THREE.rays, 6, 6) * 9, (maps[:, 3] != NOT_ANNOTATED).float()
    star_loss(out, maps, distances, weight, spec=LossSpec(kind=kind, dice=0.5)).backward()
    felt = out.grad.abs().sum(dim=1) > 0
    assert not felt[:, 2:4, 1:5].any()
    assert felt[maps[:, 3] != NOT_ANNOTATED].all()


def test_a_nucleus_gets_the_class_of_the_largest_mean():
    probabilities = np.zeros((2, 2, 4), np.float32)
    probabilities[0] = [[0.9, 0.1, 0.5, 0.0], [0.2, 0.2, 0.5, 0.0]]
    probabilities[1] = 1 - probabilities[0]
    regions = np.array([[2, 2, 1, 0], [2, 2, 1, 0]], np.float32)
    class_id, probability = classified(probabilities, regions, np.array([2, 1]))
    assert class_id.tolist() == [1, 0]  # equals: the first
    assert probability == pytest.approx([0.65, 0.5])
    assert class_id.dtype == np.uint8


def test_no_nuclei_have_no_classes():
    class_id, probability = classified(np.zeros((2, 4, 4), np.float32), np.zeros((4, 4)), np.zeros(0, np.int64))
    assert len(class_id) == len(probability) == 0


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 10**6), st.integers(2, 5))
def test_classes_are_those_of_the_pixels_one_by_one(seed, count):
    rng = np.random.default_rng(seed)
    probabilities = rng.random((count, 9, 11)).astype(np.float32)
    regions = rng.integers(0, 6, (9, 11)).astype(np.float32)
    region = rng.permutation(np.unique(regions[regions > 0])).astype(np.int64)
    class_id, probability = classified(probabilities, regions, region)
    for nucleus, number in enumerate(region):
        means = [each[regions == number].mean(dtype=np.float64) for each in probabilities]
        assert class_id[nucleus] == int(np.argmax(means))
        assert probability[nucleus] == pytest.approx(max(means), abs=1e-6)


def test_a_model_of_several_classes_says_them_and_gives_them(tmp_path):
    path = written(tmp_path / "m.safetensors", THREE, NAMES)
    assert load_card(ModelSpec(name=str(path))).classes == NAMES
    predictor = load_predictor(ModelSpec(name=str(path)))
    rgb = draw_classed(3, 128).rgb
    (found,) = predictor.predict(rgb[None])
    assert found.classes == NAMES
    assert found.class_id.max(initial=0) < 3
    assert ((found.measurements[CLASS_PROBABILITY] >= 1 / 3 - 1e-5) | (len(found) == 0)).all()
    net = folded(load_net(read_model_file(path)))
    assert infer(net, rgb[None], False)[0].maps[-3:].sum(axis=0) == pytest.approx(1, abs=1e-5)
    (nothing,) = predictor.predict(np.full((1, 64, 64, 3), 255, np.uint8))
    assert list(nothing.measurements) == [CLASS_PROBABILITY]


def test_a_model_of_one_class_measures_no_class(tmp_path):
    predictor = load_predictor(ModelSpec(name=str(written(tmp_path / "m.safetensors", ONE, ("Cell",)))))
    (found,) = predictor.predict(draw_classed(3, 128).rgb[None])
    assert not found.measurements
    assert not found.class_id.any()


def test_a_card_that_does_not_fit_its_network_is_told(tmp_path):
    from safetensors.torch import save_file

    file = read_model_file(written(tmp_path / "m.safetensors", THREE, NAMES))
    card = {**vars(file.card), "classes": ("Cell",)}
    del card["sha256"]
    save_file(load_net(file).state_dict(), tmp_path / "bad.safetensors", metadata_of(card, file.net, DecodeSpec()))
    with pytest.raises(ModelError, match="its card names 1 classes, its network tells 3 apart"):
        load_net(read_model_file(tmp_path / "bad.safetensors"))


def test_a_new_class_head_keeps_the_rest(tmp_path):
    path = written(tmp_path / "m.safetensors", ONE, ("Nucleus",))
    old, new = load_net(read_model_file(path)).state_dict(), begun_from(path, THREE, NAMES).state_dict()
    assert {name.partition(".")[0] for name in set(new) - set(old)} == {"classes"}
    assert all(torch.equal(new[name], value) for name, value in old.items())
    told = told_of_start(read_model_file(path), THREE, NAMES)
    assert told == (
        "Started from nuclei 1 (classes: Nucleus): what finds and outlines nuclei is kept, "
        "the class head begins anew for Tumor, Immune cells, Stroma."
    )


@pytest.mark.parametrize(
    ("net", "names", "keeps", "told"),
    [
        (THREE, NAMES, True, "all weights are kept."),
        (THREE, NAMES[::-1], False, "begins anew for Stroma, Immune cells, Tumor"),
        (THREE.model_copy(update={"classes": 2}), NAMES[:2], False, "begins anew for Tumor, Immune cells"),
    ],
)
def test_a_class_head_is_kept_where_the_classes_are(tmp_path, net, names, keeps, told):
    path = written(tmp_path / "m.safetensors", THREE, NAMES)
    torch.manual_seed(9)
    old, new = load_net(read_model_file(path)), begun_from(path, net, names)
    assert torch.equal(old.stem[0].weight, new.stem[0].weight)
    assert torch.equal(old.classes[0].weight, new.classes[0].weight) == keeps
    assert told in told_of_start(read_model_file(path), net, names)


def test_a_class_head_can_be_left_off(tmp_path):
    path = written(tmp_path / "m.safetensors", THREE, NAMES)
    assert begun_from(path, ONE, ("Nucleus",)).classes is None
    assert "one class needs none" in told_of_start(read_model_file(path), ONE, ("Nucleus",))


def test_another_network_is_not_gone_on_from(tmp_path):
    path = written(tmp_path / "m.safetensors", ONE, ("Nucleus",))
    with pytest.raises(ModelError, match="use the same net"):
        begun_from(path, NetSpec(classes=2), NAMES[:2])


def test_the_number_of_classes_follows_from_their_names():
    assert TrainSpec(classes=NAMES).net.classes == 3
    assert TrainSpec(classes=NAMES, net=ONE).net == THREE
    assert TrainSpec(classes=NAMES, net={"head": 16}).net.classes == 3
    assert TrainSpec().class_names == ("Nucleus",)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"classes": ("A", "A")}, "must be different"),
        ({"classes": ("A", " ")}, "not empty"),
        ({"classes": ("A", "B\nC")}, "on one line"),
        ({"classes": ("A", "B"), "net": {"classes": 3}}, "net.classes is 3"),
        ({"net": {"classes": 3}}, "net.classes is 3"),
    ],
)
def test_wrong_classes_are_told(given, told):
    with pytest.raises(ValidationError, match=told):
        TrainSpec(**given)


def test_classes_of_the_data_are_those_of_the_model_or_mapped():
    table = ClassTable(NAMES, {"lymphocyte": "Immune cells", "debris": None}, "a.csv")
    assert table.marks(["Tumor", "lymphocyte", "debris", "", "Stroma"]).tolist() == [1, 2, 0, 0, 3]
    assert ClassTable(NAMES, {"": "Tumor"}, "a.csv").marks([""]).tolist() == [1]
    assert ClassTable(("Cell",), {}, "a.csv").marks(["whatever"]).tolist() == [0]
    with pytest.raises(ModelError, match=r"a\.csv has nuclei of the classes 'gland', 'tumour'; .*class_map"):
        table.marks(["tumour", "gland", "Tumor"])
    with pytest.raises(ModelError, match="the model has no class 'Tumour'"):
        ClassTable(NAMES, {"x": "Tumour"}, "a.csv")


def test_found_nuclei_are_judged_where_something_is_known():
    truth = np.zeros((20, 40), np.int32)
    truth[2:8, 2:8], truth[2:8, 12:18], truth[2:8, 22:28], truth[12:18, 32:38] = 1, 2, 3, 4
    found = np.where(truth == 4, 0, truth)
    found[12:18, 2:8], found[12:18, 12:18] = 7, 5
    marks = np.array([0, 1, 2, 0, 2], np.uint8)[truth]
    marks[10:, :30][truth[10:, :30] == 0] = NOT_ANNOTATED
    marks[12:18, 32:36] = NOT_ANNOTATED
    result = judged(found, np.array([0, 0, 1, 0, 0, 0, 0], np.uint8), truth, marks)
    assert (result.right, result.classed) == (1, 2)  # of 1 and 2; the class of 3 is not known
    assert (result.agreement.true_positives, result.agreement.false_positives) == (3, 0)
    assert result.agreement.false_negatives == 0  # 4 is mostly hidden


def test_nothing_found_is_judged_too():
    truth = np.zeros((9, 9), np.int32)
    result = judged(truth, np.zeros(0, np.uint8), truth, np.zeros((9, 9), np.uint8))
    assert (result.right, result.classed) == (0, 0)


def test_held_out_regions_tell_how_often_the_class_is_right(tmp_path):
    write_folder(tmp_path / "set", {name: draw_classed(seed, 128) for seed, name in enumerate("ab")})
    sets = (ImageSet(folder=tmp_path / "set", mpp=0.5, held_out=("b",)),)
    spec = TrainSpec(out=tmp_path / "m.safetensors", sets=sets, classes=CLASSES, net=ONE, threshold=0.05)
    spec = spec.model_copy(update={"iterations": 2, "batch": 2, "patch_px": 64, "workers": 0, "warm_up": 0})
    fit(spec, lambda _: None)
    log = (tmp_path / "m.safetensors.losses.jsonl").read_text().splitlines()
    assert any("class_accuracy" in line for line in log)
