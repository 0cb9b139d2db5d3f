"""``pathopipe evaluate`` and ``agreement`` as users call them."""

from __future__ import annotations

import json

from tests.support.cli import pathopipe
from tests.support.raters import rater, write_rater, write_region


def test_raters_are_compared_and_the_map_is_valid(tmp_path):
    ann = write_rater(tmp_path, rater("ann", (0, "T"), (100, "T"), (200, "S")))
    bob = write_rater(tmp_path, rater("bob", (0, "T"), (100, "S"), (300, "S")))
    map_file = tmp_path / "map.geojson"
    done = pathopipe("agreement", ann, bob, "--map", map_file)
    assert "ann and bob: 2 nuclei of both, 1 of ann alone, 1 of bob alone" in done.stdout
    assert "Class differs 1, Only ann 1, Only bob 1" in done.stderr
    assert "QuPath imports it whole; 3 objects" in pathopipe("validate", map_file).stdout
    region = write_region(tmp_path / "region.geojson", 0, 0, 150, 20)
    told = json.loads(pathopipe("agreement", ann, bob, "--region", region, "--json").stdout)
    assert (told["nuclei"], told["agreed"], told["pairs"][0]["f1"]) == (2, 1, 1.0)
    alone = json.loads(pathopipe("agreement", ann, bob, "--ignore-classes", "--json").stdout)
    assert alone["agreed"] == 2


def test_mistakes_are_told(tmp_path):
    ann = write_rater(tmp_path, rater("ann", (0, "T")))
    assert "at least two raters" in pathopipe("agreement", ann, code=2).stderr
    assert ".geojson" in pathopipe("agreement", ann, ann, "--map", tmp_path / "map.csv", code=2).stderr
    assert "not there" in pathopipe("agreement", ann, tmp_path / "bob.geojson", code=1).stderr
    assert "draw it as an annotation" in pathopipe("agreement", ann, ann, "--region", ann, code=1).stderr


def test_contact_sheets_of_a_drawn_slide(tmp_path, drawn_slide):
    sheets = tmp_path / "sheets"
    truth = drawn_slide.truth
    done = pathopipe("evaluate", truth, truth, "--images", drawn_slide.slide, "--sheets", sheets, "--json")
    told = json.loads(done.stdout)
    assert told["pooled"]["f1"] == told["pooled"]["aji_plus"] == 1
    assert told["intervals"]["reasons"]["all"]
    assert f"hits.png: {drawn_slide.nuclei:,}" in done.stderr
    assert {path.name for path in sheets.iterdir()} == {"hits.png", "misses.png", "false_alarms.png"}
    assert "go together" in pathopipe("evaluate", truth, truth, "--sheets", sheets, code=2).stderr
