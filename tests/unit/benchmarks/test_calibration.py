"""Reliability of scores, and the pages that figures are written into."""

from __future__ import annotations

import numpy as np
import pytest
from chart import Curve, Panel, save_panels
from pages import DOCS, fill_section, table
from PIL import Image
from reliability import matched, reliability, wilson


def test_scores_that_are_right_as_often_as_they_say_have_no_error():
    score = np.repeat([0.25, 0.75], [4, 4])
    right = np.array([1, 0, 0, 0, 1, 1, 1, 0], bool)
    curve = reliability(score, right)
    assert curve.error == 0
    assert curve.count.tolist() == [0, 0, 4, 0, 0, 0, 0, 4, 0, 0]
    assert np.isnan(curve.right[0])


def test_the_error_weighs_bins_by_their_count():
    curve = reliability(np.array([0.95, 0.95, 0.95, 0.15]), np.array([True, True, True, True]))
    assert curve.error == pytest.approx((3 * 0.05 + 0.85) / 4)
    assert reliability(np.array([1.0]), np.array([True])).count[9] == 1


def test_matched_needs_more_than_half_of_the_union():
    truth = np.zeros((4, 12), np.int32)
    truth[:, :4], truth[:, 6:10] = 7, 9
    labels = np.zeros_like(truth)
    labels[:, 1:4] = 1  # 3/4 of the first
    labels[:, 8:12] = 2  # 2/6 of the second
    assert matched(labels, truth, 3).tolist() == [True, False, False]  # the third was painted over


def test_wilson_interval():
    low, high = wilson(0.5, 100)
    assert (low, high) == pytest.approx((0.4038, 0.5962), abs=1e-4)
    assert wilson(1.0, 5)[1] == pytest.approx(1.0)


def test_a_section_is_replaced_and_nothing_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- a: begin -->\nold\n<!-- a: end -->\n<!-- b: begin -->\n<!-- b: end -->\n")
    fill_section(page, "a", "new \\1\n")
    fill_section(page, "a", "newer \\1")
    assert page.read_text() == (
        "before\n<!-- a: begin -->\nnewer \\1\n<!-- a: end -->\n<!-- b: begin -->\n<!-- b: end -->\n"
    )
    with pytest.raises(ValueError, match="once each"):
        fill_section(page, "c", "")


def test_the_page_has_both_sections():
    page = (DOCS / "robustness.md").read_text(encoding="utf-8")
    for name in ("robustness", "calibration"):
        assert page.count(f"<!-- {name}: begin -->") == page.count(f"<!-- {name}: end -->") == 1


def test_table():
    assert table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_a_chart_is_the_same_each_time(tmp_path):
    curve = Curve("F1", ((0.0, 0.2), (1.0, 0.9)), ((0.1, 0.3), (0.8, 1.0)))
    panel = Panel("title", "µm", (0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (0.0, 1.0), (curve,), mark=0.5, diagonal=True)
    for name in ("one.png", "two.png"):
        save_panels(tmp_path / name, [panel, panel, panel], 2)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    with Image.open(tmp_path / "one.png") as picture:
        assert len(picture.convert("RGB").getcolors()) > 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]
