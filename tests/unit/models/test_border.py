"""What lies beyond the slide: mirrored for the model, cut off what it finds."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.geometry import Box, Outlines
from pathopipe.models.border import cut_at_border, mirrored

READ = Box(-64, -64, 192, 192)
INSIDE = Box(0, 0, 100, 192)
"""The slide is 100 wide; its left, top and right border run through the tile at 64, 64 and 164."""


def circle(x: float, y: float, radius: float) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    return np.stack([x + radius * np.cos(turn), y + radius * np.sin(turn)], axis=1)


def cut(*rings: np.ndarray) -> Outlines:
    outlines, kept = cut_at_border(Outlines.of(rings), INSIDE, READ)
    assert kept.sum() == len(outlines)
    return outlines


def test_the_pixels_beyond_are_those_on_this_side_of_the_border():
    pixels = np.random.default_rng(0).integers(0, 255, (192, 100, 3), np.uint8)
    tile = mirrored(pixels, INSIDE, READ)
    assert tile.shape == (256, 256, 3)
    assert (tile[64:, 64:164] == pixels).all()
    assert (tile[64:, 63] == pixels[:, 0]).all()
    assert (tile[64:, 0] == pixels[:, 63]).all()
    assert (tile[64:, 164] == pixels[:, 99]).all()
    assert (tile[0, 64:164] == pixels[63]).all()


def test_a_tile_within_the_slide_is_not_copied():
    pixels = np.zeros((256, 256, 3), np.uint8)
    assert mirrored(pixels, READ, READ) is pixels


def test_a_slide_of_one_pixel_is_mirrored_too():
    tile = mirrored(np.full((1, 1, 3), 7, np.uint8), Box(0, 0, 1, 1), Box(-8, -8, 24, 24))
    assert (tile == 7).all()


@pytest.mark.parametrize(
    ("x", "stays", "why"),
    [
        (90.0, True, "wholly inside"),
        (64.0, True, "grown together with its mirror image: the half inside is the nucleus"),
        (61.5, True, "a little more than 0.3 of it inside"),
        (56.0, False, "the mirror image of one inside"),
        (20.0, False, "wholly beyond"),
    ],
)
def test_what_stays_at_the_border(x, stays, why):
    outlines = cut(circle(x, 150, 10))
    assert len(outlines) == stays, why
    assert (outlines.bounds()[:, 0] >= 64).all()


def test_others_keep_their_order_and_outline():
    outlines = Outlines.of([circle(30, 80, 8), circle(100, 100, 8), circle(64, 120, 8), circle(120, 140, 8)])
    result, kept = cut_at_border(outlines, INSIDE, READ)
    assert kept.tolist() == [False, True, True, True]
    assert (result.ring(0) == outlines.ring(1)).all()
    assert (result.ring(2) == outlines.ring(3)).all()
    assert result.areas()[1] == pytest.approx(outlines.areas()[2] / 2, rel=0.01)


@settings(deadline=None, max_examples=40)
@given(st.lists(st.tuples(st.floats(0, 256), st.floats(0, 256), st.floats(2, 30)), min_size=1, max_size=12))
def test_outlines_end_at_the_border_and_are_valid(circles):
    polygons = cut(*(circle(*each) for each in circles)).to_shapely()
    assert shapely.is_valid(polygons).all()
    assert shapely.within(polygons, shapely.box(64 - 1e-3, 64 - 1e-3, 164 + 1e-3, 256 + 1e-3)).all()
