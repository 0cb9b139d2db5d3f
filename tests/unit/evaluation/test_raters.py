"""Raters with known disagreement: which nuclei are the same, and the figures worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shapely

from pathopipe.evaluation import EvaluationError
from pathopipe.evaluation.comparison import compare_raters
from pathopipe.evaluation.comparison_text import comparison_text
from pathopipe.evaluation.raters import Rater, notes, rater_names
from tests.support.drawn import draw_nuclei, noisy
from tests.support.raters import rater

# Squares of 10 px. Places 100 px apart are different nuclei; 2 px apart have an IoU of 80 / 120.
ANN = rater("ann", (0, "T"), (100, "T"), (200, "T"), (300, "S"), (400, "S"), (500, "T"))
BOB = rater("bob", (2, "T"), (100, "T"), (200, "S"), (300, "S"), (600, "S"))
CY = rater("cy", (0, "T"), (100, "S"), (200, "T"), (300, "S"), (500, "T"), (600, "S"))


def test_two_raters_by_hand():
    comparison = compare_raters([ANN, BOB])
    (pair,) = comparison.pairs
    assert comparison.classes == ("S", "T")
    # bob: S, T, none
    assert pair.table.tolist() == [[1, 0, 1], [1, 2, 1], [1, 0, 0]]
    # all: po = 3/7, pe = (2 × 3 + 4 × 2 + 1 × 2) / 49; matched: po = 3/4, pe = (1 × 2 + 3 × 2) / 16
    assert pair.kappa.with_none.value == pytest.approx((21 - 16) / (49 - 16))
    assert pair.kappa.matched.value == pytest.approx(0.5)
    assert (pair.kappa.with_none.nuclei, pair.kappa.matched.nuclei) == (7, 4)
    # T against the rest: both 2, ann alone 2, bob alone 0, neither 3
    assert pair.kappa_of("T").with_none.value == pytest.approx((35 - 23) / (49 - 23))
    assert pair.f1_of("T") == pytest.approx(2 * 2 / (4 + 2))
    assert pair.f1_of("S") == pytest.approx(2 * 1 / (2 + 3))


def test_outlines_of_two_raters_by_hand():
    (pair,) = compare_raters([ANN, BOB]).pairs
    assert pair.figures.f1 == pytest.approx(2 * 4 / 11)
    assert pair.figures.pq == pytest.approx(2 * (3 + 80 / 120) / 11)
    assert pair.figures.aji == pair.reverse.aji == pytest.approx(380 / (120 + 300 + 200 + 100))


def test_the_aji_depends_on_who_is_the_truth_and_both_are_told():
    one, two = rater("one", (0, "T"), (10, "T")), rater("two", (0, "T"))
    wide = Rater("wide", np.array([shapely.box(0, 0, 20, 10)], object), np.array(["T"]))
    (pair,) = compare_raters([one, wide]).pairs
    told = pair.as_dict()["aji"]
    assert told["first_as_truth"] == pytest.approx(200 / 400)  # both small ones take the wide one
    assert told["second_as_truth"] == pytest.approx(100 / (200 + 100))
    assert compare_raters([two, one]).pairs[0].as_dict()["aji"] == {"first_as_truth": 0.5, "second_as_truth": 0.5}


def test_fleiss_of_two_raters_by_hand():
    kappas = compare_raters([ANN, BOB]).fleiss
    # shares of T, S, none: 6, 5, 3 of 14; matched: 5, 3 of 8
    assert kappas.with_none.value == pytest.approx((84 - 70) / (196 - 70))
    assert kappas.matched.value == pytest.approx((48 - 34) / (64 - 34))


def test_three_raters_by_hand():
    comparison = compare_raters([ANN, BOB, CY])
    assert len(comparison.members) == 7
    assert comparison.by_all.sum() == 4
    assert comparison.agreed.sum() == 2
    # Agreement of the nuclei 1, 1/3, 1/3, 1, 1/3, 1/3, 1/3; shares of T, S, none: 9, 8, 4 of 21
    assert comparison.fleiss.with_none.value == pytest.approx((231 - 161) / (441 - 161))
    # 1, 1/3, 1/3, 1; shares of T, S: 7, 5 of 12
    assert comparison.fleiss.matched.value == pytest.approx((96 - 74) / (144 - 74))


def test_a_third_rater_changes_nothing_between_two():
    alone, among = compare_raters([ANN, BOB]).pairs[0], compare_raters([ANN, CY, BOB]).pairs[1]
    assert (among.first, among.second) == ("ann", "bob")
    assert among.as_dict() == alone.as_dict()


def test_a_chain_of_outlines_is_one_nucleus():
    # 3 px apart: IoU 70 / 130; 6 px apart: 40 / 160
    comparison = compare_raters([rater("a", (0, "T")), rater("b", (3, "T")), rater("c", (6, "T"))])
    assert comparison.members.tolist() == [[0, 0, 0]]
    assert comparison.pairs[1].figures.true_positives == 0  # a and c alone do not match


def test_no_nucleus_has_two_outlines_of_one_rater():
    comparison = compare_raters([rater("a", (0, "T"), (9, "T")), rater("b", (3, "T")), rater("c", (6, "T"))])
    assert comparison.members.tolist() == [[0, 0, -1], [1, -1, 0]]


def test_every_outline_is_of_one_nucleus():
    rng = np.random.default_rng(2)
    truth = draw_nuclei(rng, 300)
    raters = []
    for name in "abcd":
        seen = noisy(truth.take(rng.random(len(truth)) > 0.2), rng, 1.0).to_shapely()
        raters.append(Rater(name, shapely.buffer(seen, 0), rng.choice(["T", "S"], len(seen))))
    comparison = compare_raters(raters)
    for column, each in enumerate(raters):
        index = comparison.members[:, column]
        assert sorted(index[index >= 0].tolist()) == list(range(len(each)))
    assert len(comparison.members) < sum(map(len, raters)) / 2


def test_raters_who_agree_fully():
    comparison = compare_raters([ANN, Rater("twin", ANN.polygons, ANN.classes)])
    assert comparison.agreed.all()
    assert comparison.fleiss.with_none.value == comparison.pairs[0].kappa.matched.value == 1


def test_one_class_alone_has_no_kappa_of_the_matched_and_says_why():
    comparison = compare_raters([rater("a", (0, "T"), (100, "T")), rater("b", (0, "T"), (200, "T"))])
    kappas = comparison.pairs[0].kappa
    assert kappas.matched.value is None
    assert "same class" in kappas.matched.reason
    assert kappas.with_none.value < 0
    assert "one class alone" in comparison_text(comparison)


def test_a_region_leaves_out_what_lies_beyond():
    comparison = compare_raters([ANN, BOB], shapely.box(-5, -5, 450, 20))
    assert [len(each) for each in comparison.raters] == [5, 4]
    assert comparison.pairs[0].table.sum() == 5
    assert comparison.pairs[0].figures.truth == 4
    assert comparison.as_dict()["region_px2"] == 455 * 25


@pytest.mark.parametrize(("edge", "number"), [(305.5, 0), (306.5, 1)])
def test_at_the_border_a_nucleus_counts_for_both_raters_or_none(edge, number):
    # centroids at 305 and 307, their mean at 306
    comparison = compare_raters([rater("a", (300, "T")), rater("b", (302, "T"))], shapely.box(0, 0, edge, 10))
    assert [len(each) for each in comparison.raters] == [number, number]


def test_a_rater_without_nuclei_and_a_region_without_any():
    comparison = compare_raters([ANN, rater("idle")])
    assert comparison.pairs[0].figures.f1 == 0
    assert comparison.pairs[0].kappa.matched.reason
    empty = compare_raters([ANN, BOB], shapely.box(5000, 0, 6000, 10))
    assert empty.fleiss.with_none.value is None
    assert empty.pairs[0].as_dict()["f1"] is None
    assert "–" in comparison_text(empty)


def test_the_text_names_raters_classes_and_what_nobody_can_count():
    told = comparison_text(compare_raters([ANN, BOB, CY]))
    assert "ann and bob: 4 nuclei of both, 2 of ann alone, 1 of bob alone" in told
    assert "all outlined 4, and gave the same class to 2" in told
    assert told.count("Cohen, all classes") == 3


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(EvaluationError, match="two or more raters"):
        compare_raters([ANN])
    with pytest.raises(EvaluationError, match="different names"):
        compare_raters([ANN, ANN])
    with pytest.raises(EvaluationError, match='class called "none"'):
        rater("a", (0, "none"))


def test_notes_tell_of_different_extents_missing_classes_and_regions():
    grid = [(20 * x, 20 * y, "T") for x in range(10) for y in range(10)]
    wide, half = rater("wide", *grid), rater("half", *grid[:50])
    assert "different extents" in notes([wide, half], None)[0]
    assert notes([wide, half], shapely.box(0, 0, 90, 200)) == []
    assert notes([wide, rater("twin", *grid)], None) == []
    assert notes([rater("idle"), rater("lazy"), rater("one", (0, "T"))], None) == []
    bare = Rater("bare", wide.polygons, np.full(len(wide), "unclassified"))
    assert "--ignore-classes" in notes([wide, bare], None)[0]
    box = Rater("box", np.append(wide.polygons, shapely.box(0, 0, 200, 200)), np.append(wide.classes, "T"))
    assert "box: outlines with five or more others inside: 1" in notes([wide, box], None)[0]


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["x/ann.geojson", "x/bob.geojson.zip", "x/c.d.png"], ["ann", "bob", "c.d"]),
        (["a/s/cells.geojson.zip", "b/s/cells.geojson.zip"], ["a", "b"]),
        (["a/x.png", "b/x.png", "b/y.png"], ["a/x", "b/x", "b/y"]),
        (["a/x.png", "b/x.png", "b/x.png"], ["x #1", "x #2", "x #3"]),
        (["x/ann.geojson", "x/ann.geojson"], ["ann #1", "ann #2"]),
    ],
)
def test_raters_are_named_after_their_files(paths, names):
    assert rater_names([Path(path) for path in paths]) == names
