"""Patches of training images: what is beyond the image's edge, what is pasted, what is drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from pydantic import ValidationError

from pathopipe.models.train import TrainSpec
from pathopipe.models.train.augment import _grained, _hiding, drawn_patch, real_patch
from pathopipe.models.train.classes import NOT_ANNOTATED, UNKNOWN
from pathopipe.models.train.drawn import draw
from pathopipe.models.train.patches import Patches
from pathopipe.models.train.sample import Sample, sample_of
from pathopipe.models.train.spec import AugmentSpec


def disc_at(x: int, y: int, side: int) -> Sample:
    """Return an image with one dark disc of 24 px around (x, y)."""
    labels = np.zeros((side, side), np.uint8)
    cv2.circle(labels, (x, y), 12, 1, -1)
    rgb = np.where(labels[..., None] > 0, (90, 60, 140), (240, 225, 240)).astype(np.uint8)
    marks = np.full(labels.shape, UNKNOWN, np.uint8)
    return sample_of("disc", rgb, labels.astype(np.int32), marks, 1.0, 1.0)


def test_a_nucleus_that_the_edge_cuts_is_not_learnt_beside_its_mirror_image():
    patches = [
        real_patch(np.random.default_rng(seed), disc_at(0, 40, 80), 128, AugmentSpec(paste=0)) for seed in range(12)
    ]
    assert any((labels > 0).any() for _, labels, _ in patches)
    for _, labels, marks in patches:
        assert np.array_equal(labels > 0, marks == NOT_ANNOTATED)


def test_a_whole_nucleus_is_learnt_in_every_mirror_image():
    for seed in range(12):
        _, labels, marks = real_patch(np.random.default_rng(seed), disc_at(40, 40, 80), 128, AugmentSpec())
        assert (labels > 0).any()
        assert not (marks == NOT_ANNOTATED).any()


def test_a_cut_nucleus_is_learnt_where_no_mirror_image_is_in_sight():
    large = disc_at(0, 400, 800)
    patches = [real_patch(np.random.default_rng(seed), large, 64, AugmentSpec()) for seed in range(20)]
    assert any(not (marks == NOT_ANNOTATED).any() for _, _, marks in patches)


def test_distances_weigh_nothing_where_nothing_is_known():
    patches = Patches(TrainSpec(drawn=0, patch_px=64, seed=2), [disc_at(0, 30, 60)])
    seen = 0
    for index in range(20):
        _, maps, _, weight = patches[index]
        unknown = maps[3] == NOT_ANNOTATED
        seen += int(unknown.sum())
        assert not weight[unknown].any()
    assert seen


def pasted_patches(overlap: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Labels without and with pasted nuclei."""
    sample, spec = disc_at(40, 40, 80), AugmentSpec(paste=1, overlap=overlap)
    pairs = []
    for seed in range(12):
        before, after = (
            real_patch(np.random.default_rng(seed), sample, 128, each, sample)
            for each in (spec.model_copy(update={"paste": 0.0}), spec)
        )
        assert after[0].shape == (128, 128, 3)
        pairs.append((before[1], after[1]))
    return pairs


def test_pasted_nuclei_lie_on_no_other():
    pairs = pasted_patches(overlap=0)
    assert any((after > 0).sum() > (before > 0).sum() for before, after in pairs)
    for before, after in pairs:
        assert np.array_equal(before[before > 0], after[before > 0])


def test_pasted_nuclei_may_lie_over_others_in_part():
    pairs = pasted_patches(overlap=1)
    assert any((before[before > 0] != after[before > 0]).any() for before, after in pairs)
    for before, after in pairs:
        assert np.isin(np.unique(before), np.unique(after)).all()  # none is hidden altogether


def test_what_hides_too_much_of_a_nucleus_or_too_much_of_which_is_over_one_is_left_out():
    labels = np.array([[1] * 10 + [0] * 10 + [2] * 4 + [0] * 6], np.int32)
    others = np.array([[0] * 7 + [1] * 13 + [2] * 10], np.int32)  # 3 of 10 hidden; 4 of 4
    assert _hiding(labels, others, 0.35)[1:].tolist() == [False, True]


def test_drawn_nuclei_include_long_and_bent_ones():
    stretched, hollow = 0.0, 1.0
    for seed in range(12):
        _, labels = draw(np.random.default_rng(seed), 192)
        for number in np.unique(labels[labels > 0]):
            contours, _ = cv2.findContours(
                (labels == number).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
            )
            ring = max(contours, key=len)
            if len(ring) < 20:
                continue
            _, (one, other), _ = cv2.minAreaRect(ring)
            stretched = max(stretched, max(one, other) / max(min(one, other), 1))
            hollow = min(hollow, cv2.contourArea(ring) / max(cv2.contourArea(cv2.convexHull(ring)), 1))
    assert stretched > 4
    assert hollow < 0.8


def test_a_drawn_patch_is_the_same_for_the_same_random_numbers():
    first, second = (drawn_patch(np.random.default_rng(7), 96, AugmentSpec()) for _ in range(2))
    assert all(np.array_equal(*pair) for pair in zip(first, second, strict=True))


def test_every_alteration_changes_patches_and_none_their_shape():
    shares = [name for name in AugmentSpec.model_fields if name != "scale"]
    calm = dict.fromkeys(shares, 0.0)
    sample = disc_at(40, 40, 80)
    for name in shares:
        if name in ("paste_drawn", "overlap"):  # only say what is pasted, and where
            continue
        pair = []
        for share in (0.0, 1.0):
            spec = AugmentSpec(**{**calm, name: share})
            rng = np.random.default_rng(3)
            rgb = drawn_patch(rng, 96, spec)[0] if name == "flakes" else real_patch(rng, sample, 96, spec, sample)[0]
            assert rgb.shape == (96, 96, 3)
            pair.append(rgb.astype(int))
        assert np.abs(pair[0] - pair[1]).max() > 8, name


def test_grain_leaves_the_mean_amount_about_as_it_is():
    amount = np.full((128, 128), 0.5, np.float32)
    grained = _grained(np.random.default_rng(1), amount)
    assert grained.std() > 0.02
    assert grained.mean() == pytest.approx(0.5, rel=0.1)


def test_a_scale_that_falls_is_refused():
    with pytest.raises(ValidationError, match="least factor comes first"):
        AugmentSpec(scale=(2.0, 0.5))
