"""The parts of the loss, against what they are defined as."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional

from pathopipe.models.train.classes import NOT_ANNOTATED
from pathopipe.models.train.losses import dice_loss, quality_focal_loss, star_loss
from pathopipe.models.train.spec import LossSpec

RAYS = 8


@pytest.fixture
def batch():
    torch.manual_seed(0)
    maps = torch.rand(2, 4, 16, 16)
    maps[:, 3] = 0
    distances = torch.rand(2, RAYS, 16, 16) * 10
    weight = (torch.rand(2, 16, 16) < 0.2).float()
    return torch.randn(2, 3 + RAYS, 16, 16), maps, distances, weight


def test_the_default_is_the_recipe_of_the_shipped_model(batch):
    out, maps, distances, weight = batch
    bce = functional.binary_cross_entropy_with_logits
    expected = bce(out[:, 0], maps[:, 0]) + 0.5 * bce(out[:, 1], maps[:, 1]) + 0.5 * bce(out[:, 2], maps[:, 2])
    relative = ((out[:, 3:] - distances).abs() / (1 + 0.15 * distances)).mean(dim=1)
    expected = expected + 0.3 * (relative * weight).sum() / weight.sum()
    assert star_loss(*batch, spec=LossSpec()).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("part", ["probability", "foreground", "boundary", "distances"])
def test_a_part_of_weight_0_is_not_learnt(batch, part):
    out = batch[0].clone().requires_grad_()
    star_loss(out, *batch[1:], spec=LossSpec(**{part: 0})).backward()
    channels = {"probability": [0], "foreground": [1], "boundary": [2], "distances": range(3, 3 + RAYS)}
    for name, numbers in channels.items():
        assert bool(out.grad[:, list(numbers)].any()) is (name != part)


def test_focal_loss_without_focus_is_cross_entropy_and_spares_what_is_nearly_right(batch):
    out, maps, *_ = batch
    entropy = functional.binary_cross_entropy_with_logits(out[:, 0], maps[:, 0], reduction="none")
    assert torch.allclose(quality_focal_loss(out[:, 0], maps[:, 0], 0.0), entropy)
    logits, target = torch.tensor([3.0, -3.0]), torch.tensor([1.0, 1.0])
    plain = functional.binary_cross_entropy_with_logits(logits, target, reduction="none")
    share = quality_focal_loss(logits, target, 2.0) / plain
    assert share[0] < 0.01
    assert share[1] > 0.9
    exact = torch.tensor([0.3]).logit()
    assert quality_focal_loss(exact, torch.tensor([0.3]), 2.0).item() == pytest.approx(0, abs=1e-9)


def test_dice_is_0_on_the_truth_and_near_1_on_its_opposite():
    target = torch.zeros(1, 32, 32)
    target[:, :16] = 1
    known = torch.ones_like(target)
    logits = (target - 0.5) * 40
    assert dice_loss(logits, target, known).item() == pytest.approx(0, abs=1e-6)
    assert dice_loss(-logits, target, known).item() > 0.99


def test_dice_and_focal_take_part_where_they_are_asked_for(batch):
    plain = star_loss(*batch, spec=LossSpec()).item()
    out, maps = batch[:2]
    known = torch.ones_like(maps[:, 1])
    with_dice = star_loss(*batch, spec=LossSpec(dice=0.7)).item()
    assert with_dice - plain == pytest.approx(0.7 * dice_loss(out[:, 1], maps[:, 1], known).item(), rel=1e-4)
    assert star_loss(*batch, spec=LossSpec(kind="focal")).item() < plain


@pytest.mark.parametrize("spec", [LossSpec(), LossSpec(kind="focal", dice=1)])
def test_nothing_is_learnt_where_nothing_is_known(batch, spec):
    out, maps, distances, weight = batch
    maps[0, 3] = NOT_ANNOTATED
    weight[0] = 0
    out = out.clone().requires_grad_()
    star_loss(out, maps, distances, weight, spec=spec).backward()
    assert not out.grad[0].any()
    assert out.grad[1].any()
