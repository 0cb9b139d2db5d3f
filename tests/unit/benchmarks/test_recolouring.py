"""Stains estimated, and images dyed as elsewhere: on tissue whose dyes are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from alterations import all_series, blurred, compressed, lit, misstated, restained
from hypothesis import given, settings
from hypothesis import strategies as st
from stains import StainError, amounts, between, degrees, estimate_stains, recoloured, spread

OURS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11]])
OURS /= np.linalg.norm(OURS, axis=1, keepdims=True)
THEIRS = np.array([[0.55, 0.75, 0.40], [0.30, 0.80, 0.52]])
THEIRS /= np.linalg.norm(THEIRS, axis=1, keepdims=True)


def dyed(held, stains):
    """Return the image (n, n, 3) of the amounts ``held`` (n, n, 2)."""
    return np.clip(np.rint(255 * 10 ** -(held @ stains)), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def held():
    """Amounts of haematoxylin and eosin: discs in a pink ground."""
    rng = np.random.default_rng(0)
    nuclei = np.zeros((200, 200), np.float32)
    for x, y in rng.integers(0, 200, (60, 2)):
        cv2.circle(nuclei, (int(x), int(y)), 7, float(rng.uniform(0.5, 0.9)), -1)
    plasma = rng.uniform(0.15, 0.5, (200, 200)) * (nuclei == 0)
    return np.stack([nuclei, plasma], axis=-1)


def test_the_stains_of_drawn_tissue_are_found(held):
    found = estimate_stains(dyed(held, OURS))
    assert degrees(found[0], OURS[0]) < 4
    assert degrees(found[1], OURS[1]) < 4


def test_an_image_of_one_stain_is_refused_and_left_alone(held):
    grey = np.repeat(dyed(held, OURS)[..., :1], 3, axis=2)
    with pytest.raises(StainError, match="between the two stains"):
        estimate_stains(grey)
    with pytest.raises(StainError, match="stained pixels"):
        estimate_stains(np.full((99, 99, 3), 250, np.uint8))
    assert np.array_equal(restained(grey, 0.5, THEIRS, 1.0)[0], grey)


def test_recolouring_keeps_the_amounts_of_dye(held):
    image = dyed(held, OURS)
    other = recoloured(image, OURS, THEIRS)
    assert np.abs(other.astype(int) - dyed(held, THEIRS)).max() <= 3
    np.testing.assert_allclose(amounts(other, THEIRS), amounts(image, OURS), atol=0.06)


def test_twice_the_haematoxylin_is_twice_as_dark_in_nuclei_alone(held):
    image = dyed(held * 0.5, OURS)
    more = amounts(recoloured(image, OURS, OURS, (2.0, 1.0)), OURS)
    np.testing.assert_allclose(more, held * (1.0, 0.5), atol=0.06)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1))
def test_its_own_stains_give_the_same_image(seed):
    image = np.random.default_rng(seed).integers(1, 256, (8, 8, 3), dtype=np.uint8)
    assert np.array_equal(recoloured(image, OURS, OURS), image)


def test_between_two_stains():
    np.testing.assert_allclose(between(OURS, THEIRS, 0.0), OURS)
    np.testing.assert_allclose(between(OURS, THEIRS, 1.0), THEIRS)
    half = between(OURS, THEIRS, 0.5)
    assert degrees(OURS[0], half[0]) == pytest.approx(degrees(half[0], THEIRS[0]), rel=0.05)


def test_the_range_is_covered_by_the_farthest():
    seen = {"a": OURS, "b": between(OURS, THEIRS, 0.1), "c": THEIRS, "d": between(OURS, THEIRS, 0.5)}
    assert set(spread(seen, 2)) == {"a", "c"}
    assert spread(seen, 3)[2] == "d"
    assert len(spread(seen, 9)) == 4


def test_every_series_changes_the_image_or_its_resolution(held):
    image = dyed(held, OURS)
    for series in all_series((THEIRS,)):
        assert series.unaltered not in series.values
        for value in series.values:
            for alter in series.of(value):
                changed, mpp = alter(image, 0.5)
                assert (changed.shape, changed.dtype) == (image.shape, image.dtype)
                assert mpp != 0.5 or not np.array_equal(changed, image), (series.name, value)


def test_simple_alterations(held):
    image = dyed(held, OURS)
    assert misstated(image, 0.5, 1.3)[1] == 0.65
    assert lit(image, 0.5, 0.5)[0].max() <= 128
    assert blurred(image, 0.5, 1.0)[0].std() < image.std()
    worse = [np.abs(compressed(image, 0.5, quality)[0].astype(int) - image).mean() for quality in (95, 30)]
    assert worse[0] < worse[1]
