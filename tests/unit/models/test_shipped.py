"""The model that comes with the package, on an image drawn here."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_card, load_predictor
from pathopipe.models.shipped import nuclei


@pytest.fixture(scope="module")
def predictor():
    return load_predictor(ModelSpec(device="cpu"))


def tissue(seed=0, size=384):
    """Return pink tissue with dark, well separated ellipses, and their centres."""
    rng = np.random.default_rng(seed)
    image = np.full((size, size, 3), (232, 180, 205), np.float32)
    image += cv2.resize(rng.normal(0, 12, (size // 4, size // 4, 1)), (size, size))[..., None]
    centres = []
    for y in range(24, size - 20, 32):
        for x in range(24, size - 20, 32):
            centre = x + rng.uniform(-4, 4), y + rng.uniform(-4, 4)
            axes = rng.uniform(11, 16), rng.uniform(8, 11)
            cv2.ellipse(image, (centre, axes, rng.uniform(0, 180)), (95, 60, 130), -1, cv2.LINE_AA)
            centres.append(centre)
    image = cv2.GaussianBlur(image, (0, 0), 0.8) + rng.normal(0, 4, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8), np.array(centres)


def test_it_finds_drawn_nuclei_and_little_else(predictor):
    image, centres = tissue()
    found = predictor.predict(image[np.newaxis])[0]
    assert found.classes == ("Nucleus",)
    gaps = np.hypot(*(found.outlines.centroids()[:, None] - centres[None]).transpose(2, 0, 1))
    assert (gaps.min(axis=0) < 2.5).mean() >= 0.9
    assert len(found) <= 1.1 * len(centres)


def test_white_glass_has_no_nuclei(predictor):
    assert len(predictor.predict(np.full((1, 256, 256, 3), 255, np.uint8))[0]) == 0


def test_a_tile_does_not_depend_on_its_neighbours_in_the_batch(predictor):
    image, _ = tissue(1, 192)
    other, _ = tissue(2, 192)
    alone = predictor.predict(image[np.newaxis])[0]
    beside = predictor.predict(np.stack([other, image, other]))[1]
    assert np.array_equal(alone.outlines.coords, beside.outlines.coords)
    assert np.array_equal(alone.score, beside.score)


def test_a_tile_shifted_by_the_stride_gives_the_same_nuclei(predictor):
    image, _ = tissue(3, 512)
    halo = predictor.card.halo_px
    whole = predictor.predict(image[np.newaxis])[0].outlines
    part = predictor.predict(image[np.newaxis, 16 : 16 + 448, 24 : 24 + 448])[0].outlines
    part = part.with_coords(part.coords + np.array([24, 16]))
    # what lies a halo and a nucleus inside both must be the same to a hundredth of a pixel
    low, high = 24 + halo, 16 + 448 - halo
    pick = [each.take(((each.bounds() > low) & (each.bounds() < high)).all(axis=1)) for each in (whole, part)]
    assert len(pick[0]) > 20
    assert len(pick[0]) == len(pick[1])
    np.testing.assert_allclose(pick[0].coords, pick[1].coords, atol=0.01)


def test_a_lower_min_score_finds_more(predictor):
    image, _ = tissue(4, 192)
    low, high = (
        load_predictor(ModelSpec(device="cpu", min_score=score)).predict(image[None])[0] for score in (0.2, 0.7)
    )
    assert len(low) >= len(high)
    assert high.score.min(initial=1) >= 0.7


def test_crowded_lymphocytes_are_found_everywhere(predictor, real_data):
    image = cv2.imread(str(real_data / "unlabelled" / "misc" / "instanseg_HE_example.tif"))  # 0.5 µm/px
    y, x = 150, 300  # the middle of 220 × 200 µm that is full of them
    found = predictor.predict(np.ascontiguousarray(image[np.newaxis, : 384 + 256, : 704 + 96, ::-1]))[0]
    centres = found.outlines.centroids() - (x, y)
    squares, _, _ = np.histogram2d(centres[:, 1], centres[:, 0], (np.arange(0, 231, 46), np.arange(0, 401, 50)))
    assert squares.min() >= 3
    assert squares.mean() >= 12


def test_the_card_is_complete():
    card = load_card(ModelSpec())
    assert card.mpp == 0.5
    assert card.halo_px == 96
    assert card.stride_px == 8
    assert card.licence
    assert card.data
    assert nuclei().stat().st_size < 10_000_000
