"""What is wrong with objects that have no partner: cases by hand, and what holds of all."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from pathopipe.evaluation import evaluate_labels
from pathopipe.evaluation.kinds import Kind, kinds
from pathopipe.evaluation.pairs import label_pairs


def row(*runs: tuple[int, int]) -> np.ndarray:
    """A label image of one row: (label, length) after (label, length)."""
    return np.concatenate([np.full(length, label, np.int32) for label, length in runs])[None]


def kinds_of(predicted: np.ndarray, truth: np.ndarray) -> tuple[list[Kind], list[Kind]]:
    ours, theirs = kinds(label_pairs(predicted, truth))
    return [Kind(each) for each in ours], [Kind(each) for each in theirs]


def test_what_is_found_is_found_and_what_is_nowhere_is_alone():
    predicted = row((1, 10), (0, 10), (2, 10), (0, 10))
    truth = row((1, 8), (0, 22), (2, 10))
    assert kinds_of(predicted, truth) == ([Kind.FOUND, Kind.ALONE], [Kind.FOUND, Kind.ALONE])


def test_one_nucleus_in_two_pieces():
    assert kinds_of(row((1, 5), (2, 5)), row((1, 10))) == ([Kind.TOGETHER, Kind.TOGETHER], [Kind.IN_PIECES])


def test_a_piece_with_a_partner_leaves_the_other_one_over():
    ours, theirs = kinds_of(row((1, 7), (2, 3)), row((1, 10)))
    assert ours == [Kind.FOUND, Kind.TOGETHER]
    assert theirs == [Kind.FOUND]


def test_two_nuclei_merged():
    assert kinds_of(row((1, 10)), row((1, 5), (2, 5))) == ([Kind.IN_PIECES], [Kind.TOGETHER, Kind.TOGETHER])


def test_an_outline_that_is_too_small_or_too_large():
    assert kinds_of(row((0, 3), (1, 4), (0, 3)), row((1, 10))) == ([Kind.OUTLINE], [Kind.OUTLINE])
    assert kinds_of(row((1, 10)), row((0, 3), (1, 4), (0, 3))) == ([Kind.OUTLINE], [Kind.OUTLINE])


def test_specks_in_a_nucleus_are_no_pieces_of_it():
    ours, theirs = kinds_of(row((1, 4), (2, 1), (3, 1), (0, 14)), row((1, 20)))
    assert theirs == [Kind.OUTLINE]  # one piece of a fifth of it, and two specks
    assert ours == [Kind.TOGETHER] * 3


def test_figures_and_names():
    figures = evaluate_labels(row((1, 5), (2, 5), (0, 5)), row((1, 10), (2, 5))).as_dict()
    wrong = {name: count for name, count in figures.items() if name.startswith(("misses_", "false_alarms_")) and count}
    assert wrong == {"misses_not_found": 1, "misses_split": 1, "false_alarms_piece_of_one": 2}


labels = arrays(np.int32, (6, 6), elements=st.integers(0, 5))


@settings(deadline=None)
@given(labels, labels)
def test_kinds_add_up_and_do_not_depend_on_who_comes_first(one, other):
    image = evaluate_labels(one, other)
    assert sum(image.misses.values()) == image.false_negatives
    assert sum(image.false_alarms.values()) == image.false_positives
    ours, theirs = kinds(label_pairs(one, other))
    again = kinds(label_pairs(other, one))
    assert (ours == again[1]).all()
    assert (theirs == again[0]).all()
