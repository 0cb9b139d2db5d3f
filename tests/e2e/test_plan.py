"""What ``--dry-run`` reckons comes near what a run does, on what does not depend on the machine's mood."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from pathopipe.batch.run import job_for
from pathopipe.config import load_config
from pathopipe.errors import SlideError
from pathopipe.layout import SlideFolder
from pathopipe.models.load import load_card
from pathopipe.plan import Planner
from pathopipe.slide.find import FoundSlide
from tests.support.cli import pathopipe


def job(slide, out, *settings):
    config = load_config(settings=("engine.cluster=serial", "model.device=cpu", *settings))
    return job_for(SlideFolder(out / "drawn"), FoundSlide(str(slide), None, "drawn"), config, load_card(config.model))


def test_a_plan_is_near_the_run_and_leaves_nothing_behind(drawn_slide, tmp_path):
    wanted = job(drawn_slide.slide, tmp_path / "out")
    with Planner(wanted.config) as planner:
        trial = planner._trial
        plan = planner.plan(wanted)
        bare = planner.plan(replace(wanted, config=job(drawn_slide.slide, tmp_path, "store.keep=false").config))
        assert planner.workers == 1
        assert planner.start_seconds > 0
        assert not any(trial.iterdir())
    assert not (tmp_path / "out").exists()
    assert not trial.exists()
    pathopipe("run", drawn_slide.slide, "--out", tmp_path / "out", "--cluster", "serial", "--device", "cpu")
    record = json.loads((tmp_path / "out" / "drawn" / "slide.json").read_text())
    files = [path for path in (tmp_path / "out" / "drawn").rglob("*") if path.is_file()]
    disk = sum(path.stat().st_size for path in files if path.name != "overview.png")
    assert plan.tiles == record["tiles"]
    assert plan.tissue_mm2 == pytest.approx(record["tissue_mm2"])
    assert plan.cells == pytest.approx(record["cells"], rel=0.5)
    assert plan.disk_bytes - 3e6 == pytest.approx(disk, rel=0.5)  # but for the overview, of any size
    assert bare.disk_bytes < plan.disk_bytes
    assert 0 < plan.seconds < 600
    assert record["workers"] == 1
    assert {"open", "decode", "store", "infer", "post", "save"} <= record["worker_seconds"].keys()
    assert sum(record["worker_seconds"].values()) == pytest.approx(record["seconds"]["cells"], rel=0.05)
    assert plan.worker_bytes is None or 1e8 < plan.worker_bytes < 8e9


def test_a_slide_that_cannot_be_read_has_no_plan_and_the_next_has(drawn_slide, tmp_path):
    broken = tmp_path / "broken.svs"
    broken.write_bytes(drawn_slide.slide.read_bytes()[:4000])
    wanted = job(drawn_slide.slide, tmp_path / "out")
    with Planner(wanted.config) as planner:
        with pytest.raises(SlideError):
            planner.plan(replace(wanted, slide=str(broken)))
        assert planner.plan(wanted).tiles > 0


def test_few_tiles_are_tried_and_from_all_over():
    from pathopipe.geometry import Box
    from pathopipe.plan import _spread
    from pathopipe.tiling.grid import Tile

    tiles = [Tile(0, col, Box(0, 0, 1, 1), Box(0, 0, 1, 1), Box(0, 0, 1, 1)) for col in range(100)]
    batches = _spread(tiles, 2, 5)
    assert sorted(tile.col for batch in batches for tile in batch) == list(range(5, 100, 10))
    assert len(batches) == 5
    assert sorted(tile.col for tile in (tile for batch in _spread(tiles[:3], 8, 4) for tile in batch)) == [0, 1, 2]
