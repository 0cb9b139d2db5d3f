"""Learning from other models beside the labels."""

from __future__ import annotations

import pytest
import torch

from pathopipe.errors import ModelError
from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_card, model_file
from pathopipe.models.net_file import load_net
from pathopipe.models.network import NetSpec, folded, normalised
from pathopipe.models.train import TrainSpec, fit, loop
from pathopipe.models.train.patches import Patches
from pathopipe.models.train.spec import LossSpec
from pathopipe.models.train.teachers import SIDES, Teachers, teaching_loss, turned, turned_back

NET = {"widths": [8, 8, 8], "blocks": [1, 1, 1], "head": 8, "rays": 8}
SMALL = {"net": NET, "batch": 2, "patch_px": 64, "workers": 0, "device": "cpu", "iterations": 4}
CPU = torch.device("cpu")


def spec_of(out, **changes):
    return TrainSpec.model_validate({**SMALL, "out": out, **changes})


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """The file of a model that has learnt a little."""
    return fit(spec_of(tmp_path_factory.mktemp("teacher") / "t.safetensors", name="t", seed=5), lambda _: None)


def image(seed=0):
    return torch.from_numpy(Patches(spec_of("x"), [])[seed][0].numpy())[None]


def test_a_turned_image_is_turned_back():
    pixels = torch.arange(24).reshape(1, 1, 4, 6)
    seen = [turned(pixels, side) for side in range(SIDES)]
    assert len({(tuple(each.shape), tuple(each.flatten().tolist())) for each in seen}) == SIDES
    for side, each in enumerate(seen):
        assert torch.equal(turned_back(each, side), pixels)


def test_from_all_sides_it_does_not_matter_how_the_tissue_lies(teacher):
    net = folded(load_net(model_file(ModelSpec(name=str(teacher)))))
    one, all_ = (Teachers((net,), views, 1) for views in (1, SIDES))
    turned_image = turned(image(), 5)
    assert torch.allclose(turned(all_.surfaces(image(), 0), 5), all_.surfaces(turned_image, 3), atol=1e-5)
    assert not torch.allclose(turned(one.surfaces(image(), 0), 5), one.surfaces(turned_image, 3), atol=1e-5)


def test_several_teachers_count_alike(teacher, tmp_path):
    other = fit(spec_of(tmp_path / "o.safetensors", seed=9, iterations=2), lambda _: None)
    nets = [folded(load_net(model_file(ModelSpec(name=str(path))))) for path in (teacher, other)]
    both = Teachers(tuple(nets), SIDES, 1).surfaces(image(), 0)
    alone = [Teachers((net,), SIDES, 1).surfaces(image(), 0) for net in nets]
    assert torch.allclose(both, (alone[0] + alone[1]) / 2, atol=1e-6)
    assert not torch.allclose(alone[0], alone[1], atol=1e-3)


def test_a_network_learns_what_its_teacher_says(teacher, tmp_path):
    deaf = {"loss": {"probability": 1, "foreground": 0, "boundary": 0, "distances": 0}}
    apart = {}
    for weight in (0.0, 1e6):  # of the labels alone, and as good as without them
        teaching = {"models": [str(teacher)], "views": 2, "weight": weight}
        path = fit(
            spec_of(tmp_path / f"{weight}.safetensors", iterations=60, teaching=teaching, **deaf), lambda _: None
        )
        net = folded(load_net(model_file(ModelSpec(name=str(path)))))
        said = Teachers.of(spec_of("x", teaching=teaching), CPU).surfaces(image(7), 0)[:, 0]
        with torch.inference_mode():
            apart[weight] = float((net(normalised(image(7)))[:, 0].sigmoid() - said).abs().mean())
    assert apart[1e6] < 0.5 * apart[0.0]


def test_the_loss_is_least_where_both_say_the_same():
    said = torch.tensor([0.2, 0.7]).reshape(1, 2, 1, 1)
    out = torch.zeros(1, 5, 1, 1)
    out[:, :2] = said.logit()
    spec = LossSpec(probability=2, foreground=3)
    entropy = -(said * said.log() + (1 - said) * (1 - said).log()).flatten()
    assert float(teaching_loss(out, said, spec)) == pytest.approx(float(2 * entropy[0] + 3 * entropy[1]))
    assert teaching_loss(out + 0.1, said, spec) > teaching_loss(out, said, spec)


def test_an_interrupted_run_goes_on_with_its_teachers(teacher, tmp_path, monkeypatch):
    given = {"teaching": {"models": [str(teacher)], "views": 3}, "checkpoint_every": 1}
    whole = fit(spec_of(tmp_path / "whole.safetensors", **given), lambda _: None).read_bytes()
    step = loop.take_step

    def dying(state, *rest):
        if state.step == 2:
            raise KeyboardInterrupt
        return step(state, *rest)

    monkeypatch.setattr(loop, "take_step", dying)
    spec = spec_of(tmp_path / "cut.safetensors", **given)
    with pytest.raises(KeyboardInterrupt):
        fit(spec, lambda _: None)
    monkeypatch.setattr(loop, "take_step", step)
    assert fit(spec, lambda _: None).read_bytes() == whole


def test_the_card_names_what_the_teachers_learnt_from_once(teacher, tmp_path):
    teaching = {"models": [str(teacher), str(teacher)], "views": 1}
    taught = fit(spec_of(tmp_path / "m.safetensors", iterations=1, teaching=teaching), lambda _: None)
    assert load_card(ModelSpec(name=str(taught))).data == (
        "images drawn by pathopipe, 100% of 2 patches",
        "taught by t 1: images drawn by pathopipe, 100% of 8 patches",
    )


def test_a_teacher_of_another_resolution_is_refused(teacher, tmp_path):
    spec = spec_of(tmp_path / "m.safetensors", mpp=0.25, teaching={"models": [str(teacher)]})
    with pytest.raises(ModelError, match=r"cannot teach a model of 0\.25"):
        fit(spec, lambda _: None)


def test_the_network_of_a_teacher_may_be_another(teacher, tmp_path):
    net = NetSpec(**{**NET, "widths": (8, 8, 16)})
    spec = spec_of(tmp_path / "m.safetensors", iterations=1, teaching={"models": [str(teacher)]}, net=net)
    assert load_card(ModelSpec(name=str(fit(spec, lambda _: None)))).version == "1"
