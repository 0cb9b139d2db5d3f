"""Records, fingerprints and the summary."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest

from pathopipe.config import load_config
from pathopipe.errors import StoreError
from pathopipe.geometry import Frame
from pathopipe.layout import SlideFolder
from pathopipe.models.base import ModelCard, ModelSpec
from pathopipe.models.load import load_card
from pathopipe.record import Fingerprints, Record
from pathopipe.summary import COLUMNS, read_summary, summary_row, write_summary
from pathopipe.tiling.grid import TileGrid
from tests.support.slides import ArraySlide


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return load_card(ModelSpec())


def prints(card, *settings, info=None):
    import numpy as np

    info = info or ArraySlide(np.full((64, 64, 3), 200, np.uint8), 0.5).info
    config = load_config(settings=settings)
    frame = Frame.at(card.mpp, info.width, info.height, info.scale.x, info.scale.y)
    grid = TileGrid.cover(frame.width, frame.height, config.grid, card.halo_px, card.stride_px)
    return Fingerprints.of(info, frame, grid, card, config)


@pytest.mark.parametrize(
    ("setting", "instances_change", "results_change"),
    [
        ("engine.workers=7", False, False),
        ("engine.cluster=serial", False, False),
        ("store.keep=false", False, False),
        ("model.device=cpu", False, False),
        ("grid.tile_px=512", True, True),
        ("store.chunk_px=256", True, True),
        ("model.min_score=0.9", True, True),
        ("tissue.min_area_um2=5", False, True),
        ("stitch.seam_margin_um=3", False, True),
        ("annotations.coords=level0", False, True),
        ("scale_check.min_cells=5", False, True),
    ],
)
def test_a_fingerprint_changes_with_what_it_depends_on_alone(card, setting, instances_change, results_change):
    before, after = prints(card), prints(card, setting)
    assert (before.instances != after.instances) == instances_change
    assert (before.results != after.results) == results_change


def test_another_model_or_slide_has_another_fingerprint(card):
    import numpy as np

    assert prints(replace(card, sha256="0" * 64)).instances != prints(card).instances
    info = ArraySlide(np.full((64, 64, 3), 200, np.uint8), 0.5).info
    assert prints(card, info=replace(info, identity="other")).instances != prints(card, info=info).instances


def test_a_record_holds_only_while_its_files_are_there(tmp_path, card):
    folder = SlideFolder(tmp_path / "a")
    record = Record("a", "a.svs", "complete", fingerprint=asdict(prints(card))).save(folder)
    assert Record.load(folder) == record
    assert not record.holds(prints(card), folder)
    for path in folder.results:
        path.touch()
    assert record.holds(prints(card), folder)
    assert not record.holds(prints(card, "grid.tile_px=512"), folder)
    assert not replace(record, status="incomplete").holds(prints(card), folder)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"id": "a"}', '{"id": "a", "slide": "b", "status": "c", "new": 1}'])
def test_a_record_that_is_cut_or_foreign_is_none(tmp_path, text):
    folder = SlideFolder(tmp_path)
    folder.record.write_text(text)
    assert Record.load(folder) is None


def test_the_summary_keeps_rows_and_leaves_absent_values_empty(tmp_path):
    failed = Record("b", "b.svs", "failed", "cannot, be; read")
    write_summary(tmp_path, [summary_row(failed, SlideFolder(tmp_path / "b")), {"id": "a", "slide": "ä.svs", "x": "1"}])
    rows = read_summary(tmp_path)
    assert [row["id"] for row in rows] == ["a", "b"]
    assert tuple(rows[0])[: len(COLUMNS)] == COLUMNS
    assert (rows[1]["error"], rows[1]["cells"], rows[1]["tissue_mm2"], rows[1]["x"]) == ("cannot, be; read", "", "", "")


def test_a_foreign_summary_is_not_overwritten(tmp_path):
    (tmp_path / "summary.csv").write_text("name,age\nx,1\n")
    with pytest.raises(StoreError, match="not a summary"):
        read_summary(tmp_path)
