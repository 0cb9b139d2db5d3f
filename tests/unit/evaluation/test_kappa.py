"""Kappas against published examples and figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.evaluation.kappa import cohen, cohen_of, fleiss, fleiss_of


def test_cohen_by_hand():
    # po = 35/50 = 0.7; pe = (25 × 30 + 25 × 20) / 50² = 0.5
    kappa = cohen(np.array([[20, 5], [10, 15]]))
    assert kappa.value == pytest.approx(0.4)
    assert kappa.nuclei == 50


def test_cohen_of_one_class_by_hand():
    table = np.array([[10, 2, 0], [1, 20, 3], [0, 4, 10]])
    # the second class against the rest: both 20, only the first 4, only the second 6, neither 20
    po, pe = 40 / 50, (24 * 26 + 26 * 24) / 50**2
    assert cohen_of(table, 1).value == pytest.approx((po - pe) / (1 - pe))


def test_less_than_chance_is_negative_and_as_much_is_0():
    assert cohen(np.array([[0, 5], [5, 0]])).value == -1
    assert cohen(np.array([[8, 4], [4, 2]])).value == pytest.approx(0)


# The example of Fleiss' kappa that is found in textbooks: 14 raters, 10 subjects, 5 categories; kappa 0.210.
FLEISS = np.array([
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
])  # fmt: skip


def test_fleiss_by_the_textbook():
    # mean agreement 0.378, by chance 0.213
    assert fleiss(FLEISS).value == pytest.approx(0.210, abs=5e-4)
    assert fleiss(FLEISS).nuclei == 10


@pytest.mark.parametrize("category", range(5))
def test_fleiss_of_one_class_is_his_own_formula_for_it(category):
    n, raters = len(FLEISS), 14
    own = FLEISS[:, category]
    p = own.sum() / (n * raters)
    expected = 1 - (own * (raters - own)).sum() / (n * raters * (raters - 1) * p * (1 - p))
    assert fleiss_of(FLEISS, category).value == pytest.approx(expected)


def test_fleiss_of_all_is_the_mean_of_the_classes_weighed_by_p_q():
    p = FLEISS.sum(axis=0) / FLEISS.sum()
    each = [fleiss_of(FLEISS, category).value for category in range(5)]
    assert np.average(each, weights=p * (1 - p)) == pytest.approx(fleiss(FLEISS).value)


def test_where_all_gave_one_class_there_is_no_kappa_but_a_reason():
    for kappa in (cohen(np.array([[7, 0], [0, 0]])), fleiss(np.array([[3, 0], [3, 0]]))):
        assert kappa.value is None
        assert "same class" in kappa.reason
    for kappa in (cohen(np.zeros((2, 2), int)), fleiss(np.zeros((0, 2), int))):
        assert kappa.value is None
        assert kappa.nuclei == 0
        assert "no nucleus" in kappa.reason


tables = st.lists(st.lists(st.integers(0, 30), min_size=3, max_size=3), min_size=3, max_size=3).map(np.array)


@settings(deadline=None, max_examples=50)
@given(tables)
def test_kappas_lie_between_minus_1_and_1_and_do_not_care_for_order(table):
    one, other = cohen(table), cohen(table.T)
    assert (one.value is None) == (other.value is None)
    if one.value is not None:
        assert -1 <= one.value <= 1
        assert one.value == pytest.approx(other.value)
        assert (one.value == 1) == (np.trace(table) == table.sum())


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 50), st.integers(0, 50), st.integers(0, 50))
def test_with_one_class_kappa_with_none_is_never_above_0(both, first, second):
    kappa = cohen(np.array([[both, first], [second, 0]]))
    assert kappa.value is None or kappa.value <= 1e-12
