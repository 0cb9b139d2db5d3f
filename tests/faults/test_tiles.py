"""A tile that cannot be read or predicted is tried anew, set aside, told, and repaired by the same command."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
import pyarrow.parquet as pq
import pytest

from pathopipe.errors import ModelError
from tests.support.cli import results
from tests.support.faults import SIDE, TILES, break_tile, draw, run


@pytest.fixture
def slide(tmp_path):
    return draw(tmp_path / "slides" / "a.svs")


def row(out, name="a"):
    with open(out / "summary.csv", encoding="utf-8", newline="") as file:
        return next(each for each in csv.DictReader(file) if each["id"] == name)


def test_an_unreadable_part_is_told_everywhere_and_counts_for_nothing(slide, tmp_path, dark):
    run(tmp_path / "whole", slide)
    whole = break_tile(slide, 0)  # the top left one: the tiles of three neighbours see it in their halo
    out = tmp_path / "out"
    result = run(out, slide)
    record = result.records[0]
    assert record.status == "incomplete"
    assert not result.all_complete
    failed = [each["tile"] for each in record.tiles_failed]
    assert failed == ["r0000_c0000", "r0000_c0001", "r0001_c0000", "r0001_c0001"]
    assert f"{len(failed)} tiles" in record.error
    assert "run the same command again" in record.error
    mm2 = 512**2 * 0.25 / 1e6
    assert record.mm2_lost == pytest.approx(mm2)
    assert record.analysed_mm2 == pytest.approx(SIDE**2 * 0.25 / 1e6 - mm2)
    told = row(out)
    assert (told["status"], told["tiles_failed"], float(told["mm2_lost"])) == ("incomplete", "4", round(mm2, 4))
    scores = json.loads((out / "a" / "scores.json").read_text())["scores"]
    assert scores["cells_per_mm2"]["denominator"] == pytest.approx(record.analysed_mm2, abs=1e-4)
    assert float(told["cells_per_mm2"]) == pytest.approx(record.cells / record.analysed_mm2, rel=1e-4)
    # cells lie in the analysed part alone
    cells = pq.read_table(out / "a" / "cells.parquet", columns=["centroid_x", "centroid_y"]).to_pydict()
    lost = (np.array(cells["centroid_x"]) < 512) & (np.array(cells["centroid_y"]) < 512)
    assert len(lost)
    assert not lost.any()
    layers = json.loads((out / "a" / "annotations.geojson").read_text())["features"]
    aside = [each["properties"] for each in layers if each["properties"]["classification"]["name"] == "Not analysed"]
    assert [each["isLocked"] for each in aside] == [True]
    assert aside[0]["measurements"]["Not analysed area mm^2"] == pytest.approx(mm2)
    assert "r0000_c0000" in (out / "a" / "error.log").read_text()

    # the file mended, the same command: as if nothing had been
    slide.write_bytes(whole)
    assert run(out, slide).all_complete
    assert results(out / "a") == results(tmp_path / "whole" / "a")
    assert (row(out)["tiles_failed"], row(out)["mm2_lost"]) == ("0", "0.0")
    assert not (out / "a" / "error.log").exists()


def test_the_next_run_tries_the_failed_tiles_alone(slide, tmp_path, dark):
    draw(slide, noise=24)
    whole, when = break_tile(slide, 2), 1_700_000_000_000_000_000
    os.utime(slide, ns=(when, when))
    run(tmp_path / "out", slide)
    kept = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "a" / "instances").glob("*.npz")}
    assert len(kept) == TILES - 4
    # a disk or a network that had a bad moment: the file's time is what it was
    slide.write_bytes(whole)
    os.utime(slide, ns=(when, when))
    dark.batches.clear()
    assert run(tmp_path / "out", slide).all_complete
    assert len(dark.batches) == 4
    now = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "out" / "a" / "instances").glob("*.npz")}
    assert kept.items() <= now.items()
    run(tmp_path / "whole", slide)
    assert results(tmp_path / "out" / "a") == results(tmp_path / "whole" / "a")


@pytest.mark.parametrize(
    ("error", "batch_tiles"),
    [(MemoryError(), 4), (RuntimeError("out of memory"), 1), (ValueError("no such shape"), 1), (IndexError(3), 4)],
    ids=lambda each: type(each).__name__,
)
def test_a_tile_on_which_the_model_fails_is_set_aside_alone(slide, tmp_path, dark, error, batch_tiles):
    run(tmp_path / "whole", slide)
    rgb = {}

    def fails(tiles):
        rgb.setdefault("bad", tiles[0].copy())  # the first tile, whenever it comes
        if any(np.array_equal(tile, rgb["bad"]) for tile in tiles):
            raise error

    dark.fails = fails
    record = run(tmp_path / "out", slide, batch_tiles=batch_tiles).records[0]
    assert record.status == "incomplete"
    assert [each["tile"] for each in record.tiles_failed] == ["r0000_c0000"]
    assert type(error).__name__ in record.tiles_failed[0]["error"]
    assert "Traceback" in (tmp_path / "out" / "a" / "error.log").read_text()
    dark.fails = lambda tiles: None
    dark.batches.clear()
    assert run(tmp_path / "out", slide).all_complete
    assert dark.batches == [1]
    assert results(tmp_path / "out" / "a") == results(tmp_path / "whole" / "a")


def test_a_model_that_fails_once_is_forgiven(slide, tmp_path, dark):
    run(tmp_path / "whole", slide)
    failures = iter([MemoryError()])

    def fails(tiles):
        for error in failures:
            raise error

    dark.fails = fails
    assert run(tmp_path / "out", slide).all_complete
    assert results(tmp_path / "out" / "a") == results(tmp_path / "whole" / "a")


@pytest.mark.parametrize(
    "error", [ModelError("damaged"), TypeError("a mistake in the code")], ids=lambda e: type(e).__name__
)
def test_what_is_no_tiles_fault_ends_the_slide_at_once(slide, tmp_path, dark, error):
    def fails(tiles):
        raise error

    dark.fails = fails
    record = run(tmp_path / "out", slide).records[0]
    assert record.status == "failed"
    assert len(dark.batches) == 1
    assert str(error) in record.error


def test_a_slide_of_which_nothing_can_be_read_failed(slide, tmp_path, dark):
    def fails(tiles):
        raise RuntimeError("no tile suits me")

    dark.fails = fails
    record = run(tmp_path / "out", slide).records[0]
    assert (record.status, record.cells) == ("failed", None)
    assert "none of its tiles could be analysed: RuntimeError: no tile suits me" in record.error
    assert "in fails" in (tmp_path / "out" / "a" / "error.log").read_text()
    assert row(tmp_path / "out")["cells"] == ""


def test_a_slide_that_goes_away_in_the_middle_fails_and_keeps_its_tiles(slide, tmp_path, dark):
    run(tmp_path / "whole", slide)
    dark.batches.clear()
    away = slide.with_name("away")

    def fails(tiles):
        if len(dark.batches) == 5:
            slide.rename(away)
            raise RuntimeError("no pixels")

    dark.fails = fails
    record = run(tmp_path / "out", slide).records[0]
    assert record.status == "failed"
    assert "does not exist" in record.error
    away.rename(slide)
    dark.fails = lambda tiles: None
    dark.batches.clear()
    assert run(tmp_path / "out", slide).all_complete
    assert len(dark.batches) == TILES - 4
    assert results(tmp_path / "out" / "a") == results(tmp_path / "whole" / "a")


def test_a_slide_that_is_replaced_in_the_middle_is_no_mixture(slide, tmp_path, dark):
    draw(tmp_path / "other.svs", seed=1)
    run(tmp_path / "other", tmp_path / "other.svs")
    dark.batches.clear()

    def fails(tiles):
        if len(dark.batches) == 5:
            os.replace(tmp_path / "other.svs", slide)

    dark.fails = fails
    record = run(tmp_path / "out", slide).records[0]
    assert record.status == "failed"
    assert "replaced while it was analysed" in record.error
    dark.fails = lambda tiles: None
    assert run(tmp_path / "out", slide).all_complete
    other, now = results(tmp_path / "other" / "other"), results(tmp_path / "out" / "a")
    assert now["cells.geojson.zip"] == other["cells.geojson.zip"]
    assert now["cells.parquet"] == other["cells.parquet"]
