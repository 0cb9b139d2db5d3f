"""Classes of one model are told apart by their colours."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.annotations.colours import COLOURS, colour_of
from pathopipe.annotations.palette import palette


def apart(colours):
    pairs = combinations(colours.values(), 2)
    return min((sum((a - b) ** 2 for a, b in zip(*pair, strict=True)) ** 0.5 for pair in pairs), default=999)


def test_known_classes_keep_their_colours():
    names = ("Tumor", "Stroma", "Immune cells", "Necrosis", "Other")
    assert palette(names) == {name: COLOURS[name] for name in names}
    assert palette(("Mitosis",)) == {"Mitosis": colour_of("Mitosis")}


def test_two_known_classes_of_one_colour_are_told_apart():
    assert COLOURS["Tumor"] == COLOURS["Epithelial"]
    colours = palette(("Epithelial", "Tumor"))
    assert colours["Epithelial"] == (200, 0, 0)
    assert apart(colours) > 90


@settings(deadline=None, max_examples=60)
@given(st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=8, unique=True))
def test_up_to_eight_classes_never_look_alike(names):
    colours = palette(names)
    assert list(colours) == names
    assert apart(colours) >= 90
    assert all(0 <= part <= 255 for colour in colours.values() for part in colour)


@pytest.mark.parametrize("count", [12, 40])
def test_many_classes_get_colours_too(count):
    assert len(palette([f"class {number}" for number in range(count)])) == count
