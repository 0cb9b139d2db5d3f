from __future__ import annotations

import json

from pathopipe.slide import open_slide
from pathopipe.slide.base import Level
from pathopipe.slide.describe import as_text, describe
from pathopipe.slide.remarks import remarks
from tests.support.drawn_slides import halved, noise, write_svs


def test_facts_as_json_and_text(tmp_path):
    full = noise(1000, 700)
    with open_slide(write_svs(tmp_path / "a.svs", [full, halved(full, 4)])) as slide:
        facts, text = describe(slide.info), as_text(slide.info)
    assert json.loads(json.dumps(facts)) == facts
    assert facts["mpp"] == {"x": 0.25, "y": 0.25, "source": "openslide.mpp-x"}
    assert [level["mpp_x"] for level in facts["levels"]] == [0.25, 1.0]
    assert "1000 × 700 px (0.25 × 0.17 mm)" in text
    assert "1: 250 × 175 px (1/4, 1 µm/px)" in text


def test_what_is_not_known_is_absent_with_its_reason(tmp_path):
    path = write_svs(tmp_path / "a.svs", [noise(300, 300)], description="Aperio Image Library v1\r\n300x300")
    with open_slide(path) as slide:
        facts, text = describe(slide.info), as_text(slide.info)
    assert facts["mpp"] is None
    assert "--mpp" in facts["mpp_problem"]
    assert facts["levels"][0]["mpp_x"] is None
    assert "--mpp" in text
    assert "not stated" in text


def test_remarks():
    large = [Level(50_000, 400_000, 1, 1)]
    said = " ".join(remarks(large, None, None, "hamamatsu.x=;ExcitationName=387/11-25;"))
    for part in ("only one level", "very large", "objective power is not stated", "fluorescence"):
        assert part in said
    assert remarks([Level(50_000, 40_000, 1, 1), Level(500, 400, 100, 100)], 40.0, None) == []
