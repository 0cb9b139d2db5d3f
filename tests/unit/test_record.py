"""Records, fingerprints and the summary."""

from __future__ import annotations

import os
from dataclasses import asdict, replace

import pytest

from pathopipe.batch.summary import COLUMNS, read_summary, summary_row, write_summary
from pathopipe.config import load_config
from pathopipe.errors import StoreError
from pathopipe.geometry import Frame
from pathopipe.layout import SlideFolder
from pathopipe.models.base import ModelCard, ModelSpec
from pathopipe.models.load import load_card
from pathopipe.record import Fingerprints, Record
from pathopipe.tiling.grid import TileGrid
from tests.support.slides import ArraySlide


@pytest.fixture(scope="module")
def card() -> ModelCard:
    return load_card(ModelSpec())


def prints(card, *settings, info=None):
    import numpy as np

    info = info or ArraySlide(np.full((640, 640, 3), 200, np.uint8), 0.5).info
    config = load_config(settings=settings)
    frame = Frame.at(card.mpp, info.width, info.height, info.scale.x, info.scale.y)
    grid = TileGrid.cover(frame.width, frame.height, config.grid, card.halo_px, card.stride_px)
    return Fingerprints.of(info, frame, grid, card, config, "float32")


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
        ("model.int8=off", False, False),
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
    info = ArraySlide(np.full((640, 640, 3), 200, np.uint8), 0.5).info
    assert prints(card, info=replace(info, identity="other")).instances != prints(card, info=info).instances


@pytest.fixture
def finished(tmp_path, card):
    """A complete record and its folder, with files of some bytes."""
    folder = SlideFolder(tmp_path / "a")
    folder.path.mkdir()
    for path in folder.results:
        path.write_bytes(f"the bytes of {path.name}".encode())
    record = Record("a", "a.svs", "complete", fingerprint=asdict(prints(card))).sealed(folder).save(folder)
    assert Record.load(folder) == record
    return record, folder


def test_a_record_holds_for_the_same_settings_alone(finished, card):
    record, folder = finished
    assert record.holds(prints(card), folder)
    assert not record.holds(prints(card, "grid.tile_px=512"), folder)
    assert not replace(record, status="incomplete").holds(prints(card), folder)


@pytest.mark.parametrize("spoil", ["missing", "empty", "cut", "foreign", "a folder", "one bit"])
@pytest.mark.parametrize("number", range(5))
def test_a_record_holds_only_while_its_files_are_those_it_made(finished, card, number, spoil):
    record, folder = finished
    path = folder.results[number]
    whole = path.read_bytes()
    path.unlink()
    if spoil == "a folder":
        path.mkdir()
    elif spoil != "missing":
        bit = bytes([whole[0] ^ 1]) + whole[1:]
        path.write_bytes({"empty": b"", "cut": whole[:-1], "foreign": b"x" * len(whole), "one bit": bit}[spoil])
    assert not record.holds(prints(card), folder)


def test_a_record_holds_for_a_copy_and_whatever_the_clock_says(finished, card):
    record, folder = finished
    for path, when in zip(folder.results, (0, 1, 2**31, 4e9, 1e9), strict=True):
        os.utime(path, (when, when))
    assert record.holds(prints(card), folder)


def test_a_slide_whose_file_changed_after_tiles_failed_was_repaired():
    failed = Record("a", "a.svs", "incomplete", tiles_failed=[{"tile": "r0_c0"}], modified_ns=5)
    assert failed.repaired(6)
    assert failed.repaired(4)
    assert not failed.repaired(5)
    assert not failed.repaired(None)
    assert not replace(failed, modified_ns=None).repaired(6)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        '{"id": "a"}',
        '{"id": "a", "slide": 3, "status": "failed"}',
        '{"id": "a", "slide": "b", "status": "c", "new": 1}',
    ],
)
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
