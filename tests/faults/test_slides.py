"""Slides that are broken, moved, replaced or oddly named: each is told of, and the others are done."""

from __future__ import annotations

import csv
import os
import shutil

import numpy as np
import pytest

from tests.support.cli import RESULTS, results
from tests.support.faults import break_tile, draw, run, statuses


@pytest.fixture(scope="module")
def pixels(tmp_path_factory):
    """One drawn slide, to be copied: drawing costs more than anything else here."""
    return draw(tmp_path_factory.mktemp("drawn") / "a.svs")


def made(out):
    """When each result file was written."""
    return {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.name in RESULTS}


def rows(out):
    with open(out / "summary.csv", encoding="utf-8", newline="") as file:
        return {row["id"]: row for row in csv.DictReader(file)}


def test_of_twenty_slides_five_are_broken_and_repaired(pixels, tmp_path, dark):
    folder, out = tmp_path / "slides", tmp_path / "out"
    folder.mkdir()
    names = [f"slide {number:02d}" for number in range(20)]
    for name in names:
        shutil.copy(pixels, folder / f"{name}.svs")
    whole = pixels.read_bytes()
    truncated, empty, text, broken, dangling = (folder / f"{name}.svs" for name in names[3:18:3])
    truncated.write_bytes(whole[: len(whole) // 3])
    empty.write_bytes(b"")
    text.write_text("this is no slide")
    break_tile(broken, 0)
    dangling.unlink()
    dangling.symlink_to(tmp_path / "gone.svs")

    result = run(out, folder)
    assert not result.all_complete  # exit code 1
    bad = {path.stem for path in (truncated, empty, text, broken, dangling)}
    assert statuses(result) == {
        name: "complete" if name not in bad else "incomplete" if name == broken.stem else "failed" for name in names
    }
    told = rows(out)
    assert len(told) == 20
    for name in names:
        assert bool(told[name]["error"]) == (name in bad), told[name]
        assert "\n" not in told[name]["error"]
        assert (out / name / "error.log").exists() == (name in bad)
        assert (told[name]["cells"] == "") == (told[name]["status"] == "failed")  # absent, never zero
    assert "empty" in told[empty.stem]["error"]
    assert "link to a file that is gone" in told[dangling.stem]["error"]
    good = {path: when for path, when in made(out).items() if path.parent.name not in bad}

    for path in (truncated, empty, text, broken, dangling):
        path.unlink()
        shutil.copy(pixels, path)
    dark.batches.clear()
    result = run(out, folder)
    assert result.all_complete
    assert result.unchanged == 15
    assert good.items() <= made(out).items()
    assert all(row["error"] == "" for row in rows(out).values())
    one = results(out / names[0])
    assert all(results(out / name) == one for name in names)  # they are copies of one slide
    assert not list(out.rglob("*.tmp"))


def test_odd_names_and_links(pixels, tmp_path, dark):
    folder, out = tmp_path / "slides", tmp_path / "out"
    names = ["Ünïcödé 滑 №1", "two  spaces", "semi;colon, comma", "'quoted\"", "-dash", "a.b.c", "100%", "[x]*?"]
    for name in names:
        (folder / name).mkdir(parents=True)
        shutil.copy(pixels, folder / name / f"{name}.svs")
    (folder / "same").mkdir()
    shutil.copy(pixels, folder / "same" / "a.b.c.svs")  # the stem of another
    (folder / "link.svs").symlink_to(pixels)
    (folder / "round").symlink_to(folder)  # a folder that holds itself
    result = run(out, folder)
    assert result.all_complete
    assert len(result.records) == len(names) + 2
    one = results(out / result.records[0].id)
    assert all(results(out / record.id) == one for record in result.records)
    again = run(out, folder)
    assert again.unchanged == len(again.records) == len(names) + 2


def test_a_slide_that_is_replaced_between_two_runs_is_done_anew(pixels, tmp_path, dark):
    slide = tmp_path / "a.svs"
    shutil.copy(pixels, slide)
    run(tmp_path / "out", slide)
    first = results(tmp_path / "out" / "a")
    draw(slide, seed=1)
    assert run(tmp_path / "out", slide).unchanged == 0
    run(tmp_path / "fresh", slide)
    second = results(tmp_path / "out" / "a")
    assert second == results(tmp_path / "fresh" / "a")
    assert second["cells.parquet"] != first["cells.parquet"]
    # and back: what is there of the other never shines through
    shutil.copy(pixels, slide)
    run(tmp_path / "out", slide)
    assert results(tmp_path / "out" / "a") == first


def test_clocks_that_jump_change_nothing(pixels, tmp_path, dark):
    slide = tmp_path / "a.svs"
    shutil.copy(pixels, slide)
    os.utime(slide, (4e9, 4e9))
    run(tmp_path / "out", slide)
    dark.batches.clear()
    for when in (0, 2**31 - 2, 4e9):
        for path in (slide, *(tmp_path / "out").rglob("*")):
            os.utime(path, (when, when))
        assert run(tmp_path / "out", slide).unchanged == 1
    assert not dark.batches


def test_a_slide_that_is_renamed_or_moved_keeps_its_results_by_its_content(pixels, tmp_path, dark):
    slide = tmp_path / "a.svs"
    shutil.copy(pixels, slide)
    run(tmp_path / "out", slide)
    (tmp_path / "moved").mkdir()
    slide.rename(tmp_path / "moved" / "a.svs")
    dark.batches.clear()
    assert run(tmp_path / "out", tmp_path / "moved" / "a.svs").unchanged == 1
    assert not dark.batches


def test_bits_that_flip_inside_tiles_never_stop_a_run(pixels, tmp_path, dark):
    """A JPEG with another bit may decode to other pixels or to none; the run ends either way, and says which."""
    whole, rng = bytearray(pixels.read_bytes()), np.random.default_rng(3)
    slides = []
    for number in range(4):
        bits = bytearray(whole)
        for place in rng.integers(2_000, len(whole) * 9 // 10, 30):
            bits[place] ^= 1 << int(rng.integers(8))
        slides.append(tmp_path / f"{number}.svs")
        slides[-1].write_bytes(bits)
    result = run(tmp_path / "out", slides)
    assert {record.status for record in result.records} <= {"complete", "incomplete", "failed"}
    for record in result.records:
        assert (record.error is None) == (record.status == "complete")
        assert record.status != "incomplete" or record.mm2_lost > 0
    # mended: the bits of the ends and the middle are in the slide's identity, those elsewhere in the time of its change
    for slide, record in zip(slides, result.records, strict=True):
        if record.status != "complete":
            slide.write_bytes(whole)
    run(tmp_path / "whole", pixels)
    for slide, record in zip(slides, run(tmp_path / "out", slides).records, strict=True):
        assert record.status == "complete"
        if slide.read_bytes() == whole:
            assert results(tmp_path / "out" / slide.stem) == results(tmp_path / "whole" / "a")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_slide_that_may_not_be_read_is_told(pixels, tmp_path, dark):
    slide = tmp_path / "a.svs"
    shutil.copy(pixels, slide)
    slide.chmod(0)
    record = run(tmp_path / "out", slide).records[0]
    assert record.status == "failed"
    assert "no permission" in record.error
    slide.chmod(0o644)
    assert run(tmp_path / "out", slide).all_complete
