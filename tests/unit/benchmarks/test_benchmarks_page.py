"""Every benchmark whose figures go into the documentation is a script, and has its place on the page."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture(scope="module")
def suite():
    spec = importlib.util.spec_from_file_location("benchmarks_suite", BENCHMARKS / "__main__.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_is_a_script(suite):
    assert all((BENCHMARKS / f"{name}.py").is_file() for name in (*suite.SPEED, *suite.RESULTS))


def test_each_that_measures_speed_has_one_section(suite):
    page = suite.PAGE.read_text(encoding="utf-8")
    for name in suite.SPEED:
        assert page.count(f"<!-- {name}: begin -->") == page.count(f"<!-- {name}: end -->") == 1, name


@pytest.mark.parametrize(("names", "code"), [([], 0), (["decode"], 1)])
def test_one_that_cannot_run_stops_no_other(suite, monkeypatch, capsys, names, code):
    tried = []
    monkeypatch.setattr(suite, "measure", lambda name, *_: tried.append(name) or name != "decode")
    monkeypatch.setattr(suite, "look", lambda name: tried.append(name) or True)
    monkeypatch.setattr("sys.argv", ["benchmarks", *names])
    assert suite.main() == code
    assert tried == (names or [*suite.SPEED, *suite.RESULTS])
    assert "decode" in capsys.readouterr().err
