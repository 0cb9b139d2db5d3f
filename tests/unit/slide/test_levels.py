from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.slide.base import Level
from pathopipe.slide.levels import level_for, pyramid


@settings(deadline=None, max_examples=200)
@given(width=st.integers(2000, 300_000), height=st.integers(2000, 300_000), up=st.booleans(), power=st.integers(1, 5))
def test_the_factor_that_made_the_level_is_found(width, height, up, power):
    factor = 2**power
    size = tuple(-(-side // factor) if up else side // factor for side in (width, height))
    level = pyramid([(width, height), size])[1]
    assert (level.downsample_x, level.downsample_y) == (factor, factor)


def test_aperio_drops_the_odd_columns():
    level = pyramid([(100003, 60001), (25000, 15000)])[1]
    assert (level.downsample_x, level.downsample_y) == (4.0, 4.0)


def test_a_factor_that_is_not_whole_is_the_quotient_of_each_axis():
    level = pyramid([(10000, 10000), (3000, 3100)])[1]
    assert level.downsample_x == pytest.approx(10 / 3)
    assert level.downsample_y == pytest.approx(10000 / 3100)


def test_what_the_file_states_is_believed():
    level = pyramid([(1000, 1000), (501, 501)], [None, (2.0, 2.0)])[1]
    assert (level.downsample_x, level.downsample_y) == (2.0, 2.0)


def test_tiny_levels_are_powers_of_two():
    assert [level.downsample_x for level in pyramid([(300, 250), (150, 125), (75, 62), (37, 31)])] == [1, 2, 4, 8]


LEVELS = (Level(64, 64, 1, 1), Level(16, 16, 4, 4), Level(4, 4, 16, 16))


@pytest.mark.parametrize(
    ("scale", "index", "why"),
    [
        (0.5, 0, "finer than level 0"),
        (1.0, 0, "level 0"),
        (3.9, 0, "coarser than level 0, finer than level 1"),
        (3.9984, 1, "0.2499 for 0.25 µm/px: rounding"),
        (4.0, 1, "exactly level 1"),
        (15.0, 1, "between"),
        (400.0, 2, "coarser than all"),
    ],
)
def test_the_coarsest_level_that_is_fine_enough(scale, index, why):
    assert level_for(LEVELS, scale, scale) == index, why


def test_both_axes_must_be_fine_enough():
    assert level_for(LEVELS, 4.0, 3.0) == 0
