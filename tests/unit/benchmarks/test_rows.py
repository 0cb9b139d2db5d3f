"""Rows of the benchmarks' table, and the page that they fill in."""

from __future__ import annotations

import importlib.util
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
from pages import fill_section
from rows import Row, as_table, main, read_rows, skipped, told

from pathopipe.geometry import Rect
from pathopipe.slide.base import SlideSpec
from pathopipe.slide.open import open_slide
from pathopipe.synth.slide import draw_slide
from pathopipe.synth.spec import SynthSpec

HERE = Path(__file__).parents[3]


@pytest.mark.parametrize(
    ("row", "met", "target"),
    [
        (Row("a", 400.0, "MP/s", "b: 50", 8.0, at_least=5), True, "≥ 5×"),
        (Row("a", 400.0, "MP/s", "b: 100", 4.0, at_least=5), False, "≥ 5×"),
        (Row("a", 61.0, "s", at_most=60), False, "≤ 60"),
        (Row("a", 1.0, "s", at_least=0.5, at_most=1.5), True, "≥ 0.5, ≤ 1.5"),
        (Row("a", 1.0, "s"), None, ""),
        (Row("a", note="no GPU", at_least=5), None, "≥ 5"),
    ],
)
def test_a_target_bounds_the_ratio_or_else_the_value(row, met, target):
    assert row.met is met
    assert row.target == target


def test_the_table_tells_what_was_missed_and_what_was_not_measured():
    lines = as_table([Row("a | b", 61.0, "s", at_most=60), skipped("dlup", "not installed")]).splitlines()
    assert lines[2] == r"| a \| b | 61 s |  |  | ≤ 60 **missed** |  |"
    assert lines[3] == "| dlup | – |  |  |  | not measured: not installed |"
    assert told(Row("a", 1234.5, "MP/s", "b: 100", 12.345, at_least=5)) == (
        "a: 1,234 MP/s, against b: 100, 12.3×, target ≥ 5× met"
    )


def test_rows_come_back_from_their_file(tmp_path, monkeypatch, capsys):
    given = [Row("a", 1.0, "s", ratio=2.0, at_most=3), skipped("b", "no")]
    seen: list[Namespace] = []

    def rows(options):
        seen.append(options)
        return given

    monkeypatch.setattr("sys.argv", ["a.py", "--quick", "--rows", str(tmp_path / "rows.json"), "--size", "7"])
    main("Title.", rows, lambda options: options.add_argument("--size", type=int, default=1))
    assert read_rows(tmp_path / "rows.json") == given
    assert seen[0].quick
    assert seen[0].size == 7
    assert "not measured: no" in capsys.readouterr().out


def test_a_section_is_filled_and_the_rest_stays(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("# A\n<!-- x: begin -->\nold\n<!-- x: end -->\nB\n<!-- y: begin -->\nkeep\n<!-- y: end -->\n")
    fill_section(page, "x", "new\n")
    assert page.read_text() == (
        "# A\n<!-- x: begin -->\nnew\n<!-- x: end -->\nB\n<!-- y: begin -->\nkeep\n<!-- y: end -->\n"
    )
    with pytest.raises(ValueError, match="once each"):
        fill_section(page, "z", "new")


def test_the_page_has_the_section_of_every_benchmark_and_each_has_its_script():
    spec = importlib.util.spec_from_file_location("all_benchmarks", HERE / "benchmarks" / "__main__.py")
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = module.PAGE.read_text(encoding="utf-8")
    for name in module.SPEED:
        assert page.count(f"<!-- {name}: begin -->") == page.count(f"<!-- {name}: end -->") == 1, name
    for name in (*module.SPEED, *module.RESULTS):
        assert (HERE / "benchmarks" / f"{name}.py").is_file(), name


def test_a_repeated_slide_shows_its_block_on_glass_at_every_level(tmp_path, monkeypatch):
    import repeated

    def little(folder, side, tissue_fraction):
        spec = SynthSpec(width=side, height=side, tissue_fraction=0.04, seed=1)
        return draw_slide(folder / "block.svs", spec).slide

    monkeypatch.setattr(repeated, "drawn_slide", little)
    step = repeated.STEP_PX
    slide = repeated.repeated_slide(tmp_path, 3 * step, step, step)
    assert repeated.repeated_slide(tmp_path, 3 * step, step, step) == slide
    with open_slide(str(slide), SlideSpec()) as wide, open_slide(str(tmp_path / "block.svs"), SlideSpec()) as block:
        assert [level.width for level in wide.info.levels] == [3 * step // each for each in (1, 4, 16)]
        assert wide.info.scale.x == pytest.approx(0.25)
        all_of_it = block.read(Rect(0, 0, step, step), 256, 256)
        assert np.array_equal(wide.read(Rect(step, step, 2 * step, 2 * step), 256, 256), all_of_it)
        assert wide.read(Rect(0, 0, step, step), 256, 256).min() > 200
        y, x = np.unravel_index(all_of_it.min(axis=2).argmin(), (256, 256))
        for downsample in (1, 4):
            side = 64 * downsample
            left, top = min(x * 16, step - side) // 64 * 64, min(y * 16, step - side) // 64 * 64
            part = Rect(left, top, left + side, top + side)
            expected = block.read(part, 64, 64)
            there = Rect(left + step, top + step, left + step + side, top + step + side)
            assert expected.min() < 200
            assert np.array_equal(wide.read(there, 64, 64), expected)
    with pytest.raises(ValueError, match="do not fit"):
        repeated.repeated_slide(tmp_path, 3 * step, step + 256)
