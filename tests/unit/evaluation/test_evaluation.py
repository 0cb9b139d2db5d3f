"""Metrics against figures worked out by hand."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from pathopipe.evaluation import (
    EvaluationError,
    as_text,
    evaluate_files,
    evaluate_labels,
    evaluate_outlines,
    pooled,
)
from pathopipe.geometry import Outlines


def boxes(*rects, shape=(20, 40)):
    labels = np.zeros(shape, np.int32)
    for number, (x0, y0, x1, y1) in enumerate(rects, start=1):
        labels[y0:y1, x0:x1] = number * 7
    return labels


def rings(*rects):
    return Outlines.of([np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]], float) for x0, y0, x1, y1 in rects])


# Truth: two boxes of 100. Predicted: the first shifted by 2 (80 / 120), one far away of 50.
TRUTH = ((0, 0, 10, 10), (20, 0, 30, 10))
PREDICTED = ((2, 0, 12, 10), (30, 12, 40, 17))


@pytest.mark.parametrize(
    "compare",
    [lambda p, t: evaluate_labels(boxes(*p), boxes(*t)), lambda p, t: evaluate_outlines(rings(*p), rings(*t))],
    ids=["labels", "polygons"],
)
def test_one_pair_one_missed_one_invented(compare):
    agreement = compare(PREDICTED, TRUTH)
    assert (agreement.true_positives, agreement.false_positives, agreement.false_negatives) == (1, 1, 1)
    assert agreement.f1 == agreement.dq == 0.5
    assert agreement.sq == pytest.approx(80 / 120)
    assert agreement.pq == pytest.approx(0.5 * 80 / 120)
    # intersection 80 over union 120, plus the missed box of 100 and the invented one of 50
    assert agreement.aji == agreement.aji_plus == pytest.approx(80 / 270)
    assert agreement.dice == pytest.approx(2 * 80 / (200 + 150))
    assert [agreement.ap(t) for t in (0.5, 0.6, 0.7)] == pytest.approx([1 / 3, 1 / 3, 0])


@pytest.mark.parametrize(
    "compare",
    [lambda p, t: evaluate_labels(boxes(*p), boxes(*t)), lambda p, t: evaluate_outlines(rings(*p), rings(*t))],
    ids=["labels", "polygons"],
)
def test_two_merged_into_one_are_both_missed_but_count_twice_in_the_aji(compare):
    agreement = compare([(0, 0, 20, 10)], [(0, 0, 10, 10), (10, 0, 20, 10)])
    assert agreement.true_positives == 0
    assert agreement.pq == 0
    assert agreement.sq is None
    assert agreement.aji == pytest.approx((100 + 100) / (200 + 200))
    # only one of the two gets the predicted box: 100 over 200, plus the other's 100
    assert agreement.aji_plus == pytest.approx(100 / (200 + 100))
    assert agreement.dice == 1


def test_the_same_agrees_fully():
    agreement = evaluate_labels(boxes(*TRUTH), boxes(*TRUTH))
    assert (
        agreement.f1 == agreement.pq == agreement.aji == agreement.aji_plus == agreement.dice == agreement.ap(0.9) == 1
    )


def test_nothing_against_nothing_has_no_figures():
    agreement = evaluate_labels(boxes(), boxes())
    assert set(agreement.as_dict().values()) == {0, None}
    assert evaluate_outlines(Outlines.empty(), Outlines.empty()).f1 is None


def test_nothing_found_is_zero():
    agreement = evaluate_labels(boxes(), boxes(*TRUTH))
    assert agreement.f1 == agreement.pq == agreement.aji == 0
    assert agreement.precision is None


def test_the_best_sum_is_taken_not_the_best_pair_first():
    # The long predicted box shares most with the middle true one, which the short predicted one needs.
    truth = [(0, 0, 4, 10), (4, 0, 12, 10)]
    predicted = [(0, 0, 12, 10), (6, 10, 12, 11), (5, 0, 6, 1)]
    agreement = evaluate_outlines(rings(*predicted), rings(*truth))
    # IoU: 40/120 and 80/120 for the long box; 1/80 for the third with the second true box. 1/3 + 1/80 < 2/3.
    assert agreement.aji_plus == pytest.approx(80 / (120 + 40 + 6 + 1))
    predicted[2] = (5, 0, 11, 10)  # 60/80: now 1/3 + 60/80 > 2/3
    agreement = evaluate_outlines(rings(*predicted), rings(*truth))
    assert agreement.aji_plus == pytest.approx((40 + 60) / (120 + 80 + 6))


def test_overlapping_outlines_cover_each_place_once():
    agreement = evaluate_outlines(rings((0, 0, 10, 10), (5, 0, 15, 10)), rings((0, 0, 15, 10)))
    assert agreement.dice == 1


def test_overlapping_polygons_share_no_partner():
    agreement = evaluate_outlines(rings(TRUTH[0], TRUTH[0]), rings(TRUTH[0]))
    assert (agreement.true_positives, agreement.false_positives) == (1, 1)


def test_pooled_counts_objects_not_images():
    parts = [evaluate_labels(boxes(*PREDICTED), boxes(*TRUTH)), evaluate_labels(boxes(*TRUTH), boxes(*TRUTH))]
    assert pooled(parts).f1 == pytest.approx(2 * 3 / 8)
    assert pooled(parts).aji == pytest.approx((80 + 200) / (270 + 200))


def test_folders_are_matched_by_stem(tmp_path):
    for folder, rects in (("p", PREDICTED), ("t", TRUTH)):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "a.npy", boxes(*rects))
        cv2.imwrite(str(tmp_path / folder / "b.png"), boxes(*rects).astype(np.uint16))
    result = evaluate_files(tmp_path / "p", tmp_path / "t")
    assert list(result.images) == ["a", "b"]
    assert result.pooled.f1 == 0.5
    assert result.as_dict()["mean"]["aji"] == pytest.approx(80 / 270)
    assert as_text(result).count("\n") == 7
    (tmp_path / "p" / "b.png").unlink()
    with pytest.raises(EvaluationError, match="'b' lacks its prediction"):
        evaluate_files(tmp_path / "p", tmp_path / "t")


def test_two_files_need_no_common_name(tmp_path):
    np.save(tmp_path / "x.npy", boxes(*TRUTH))
    np.save(tmp_path / "y.npy", boxes(*TRUTH))
    assert evaluate_files(tmp_path / "x.npy", tmp_path / "y.npy").pooled.f1 == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((4, 4, 3), int), "no label image"),
        (np.zeros((4, 4)), "no label image"),
        (np.full((4, 4), -1), "the label -1"),
        (np.zeros((5, 4), int), "shape"),
    ],
)
def test_what_cannot_be_compared_is_refused(labels, message):
    with pytest.raises(EvaluationError, match=message):
        evaluate_labels(labels, np.zeros((4, 4), int))


def test_labels_that_fill_the_image_agree():
    full = np.arange(12).reshape(3, 4) // 2 + 1
    assert evaluate_labels(full, full).aji == 1
    assert evaluate_labels(full, np.where(full == 1, 0, full)).precision == pytest.approx(5 / 6)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.npy"])
def test_an_unreadable_file_is_named(tmp_path, name):
    (tmp_path / name).write_bytes(b"no image")
    np.save(tmp_path / "b.npy", boxes(*TRUTH))
    with pytest.raises(EvaluationError, match=name):
        evaluate_files(tmp_path / name, tmp_path / "b.npy")


def test_two_files_for_one_image_are_refused(tmp_path):
    for name in ("a.npy", "a.b.npy", "a.png"):
        np.save(tmp_path / "x.npy", boxes(*TRUTH))
        (tmp_path / "x.npy").rename(tmp_path / name)
    with pytest.raises(EvaluationError, match="two files for 'a'"):
        evaluate_files(tmp_path, tmp_path)


def test_a_label_image_and_outlines_are_compared(tmp_path):
    np.save(tmp_path / "a.npy", boxes(*PREDICTED))
    (tmp_path / "a.geojson").write_text("{}", encoding="utf-8")
    result = evaluate_files(tmp_path / "a.npy", tmp_path / "a.geojson", lambda _: rings(*TRUTH))
    assert result.images["a"].as_dict() == pytest.approx(evaluate_labels(boxes(*PREDICTED), boxes(*TRUTH)).as_dict())
    with pytest.raises(EvaluationError, match="give two label images"):
        evaluate_files(tmp_path / "a.npy", tmp_path / "a.geojson")
