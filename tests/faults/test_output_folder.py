"""Files of the output folder that are damaged, foreign or gone are made anew; disks that are full stop the run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import pytest

from pathopipe.errors import OutputDiskError, StoreError
from tests.support.cli import RESULTS, results
from tests.support.faults import Dark, draw, run


@pytest.fixture(scope="module")
def slide(tmp_path_factory):
    return draw(tmp_path_factory.mktemp("drawn") / "a.svs")


@pytest.fixture(scope="module")
def finished(slide, tmp_path_factory):
    """An output folder with the slide complete."""
    out = tmp_path_factory.mktemp("finished") / "out"
    with pytest.MonkeyPatch.context() as patch:
        Dark().taken(patch)
        assert run(out, slide).all_complete
    return out


@pytest.fixture
def done(finished, tmp_path):
    """A copy of it, times included, and the bytes of its results."""
    shutil.copytree(finished, tmp_path / "out")
    return tmp_path / "out", results(finished / "a")


def spoilt(path, how, foreign):
    """Spoil the file at ``path``: it is gone, empty, cut in half, or holds what is ``foreign``."""
    whole = path.read_bytes()
    path.unlink()
    if how != "gone":
        path.write_bytes({"empty": b"", "cut": whole[: len(whole) // 2], "foreign": foreign}[how])


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        *zip(RESULTS, ["gone", "empty", "cut", "foreign", "cut"], strict=True),
        ("cells.geojson.zip", "foreign"),
        ("scores.json", "empty"),
        ("slide.json", "gone"),
        ("slide.json", "cut"),
    ],
)
def test_a_result_that_is_spoilt_is_made_anew_without_the_model(slide, done, dark, name, spoil):
    out, whole = done
    path = out / "a" / name
    spoilt(path, spoil, foreign=b"x" * path.stat().st_size)
    result = run(out, slide)
    assert result.all_complete
    assert result.unchanged == 0
    assert results(out / "a") == whole
    assert not dark.batches


@pytest.mark.parametrize("spoil", ["empty", "cut", "one bit", "another tile's"])
def test_a_tiles_file_that_is_spoilt_is_made_anew_and_no_other(slide, done, dark, spoil):
    out, whole = done
    one, other = sorted((out / "a" / "instances").glob("*.npz"))[3:5]
    bits = bytearray(one.read_bytes())
    bits[len(bits) // 2] ^= 4
    contents = {"empty": b"", "cut": bytes(bits[:-9]), "one bit": bytes(bits), "another tile's": other.read_bytes()}
    one.write_bytes(contents[spoil])
    (out / "a" / "slide.json").unlink()  # or nobody would look at the tiles
    assert run(out, slide).all_complete
    assert dark.batches == [1]
    assert results(out / "a") == whole


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        ("instances/fingerprint.json", "cut"),
        ("instances/fingerprint.json", "foreign"),
        ("tiles.zarr/zarr.json", "empty"),
        ("tiles.zarr/0/zarr.json", "cut"),
    ],
)
def test_what_says_what_a_folder_holds_is_not_trusted_when_spoilt(slide, done, dark, name, spoil):
    out, whole = done
    spoilt(out / "a" / name, spoil, foreign=b'{"a": 1}')
    for tile in list((out / "a" / "instances").glob("*.npz"))[:2]:
        tile.unlink()
    (out / "a" / "slide.json").unlink()
    result = run(out, slide)
    assert result.all_complete, result.records[0].error
    assert results(out / "a") == whole


def test_chunks_of_the_tile_store_that_are_spoilt_are_decoded_again(slide, done, dark):
    out, whole = done
    chunks = [path for path in (out / "a" / "tiles.zarr" / "0" / "c").rglob("*") if path.is_file()]
    for number, chunk in enumerate(chunks):
        told = chunk.read_bytes()
        chunk.write_bytes([b"", told[:-5], b"x" * len(told), bytes([told[0] ^ 1]) + told[1:]][number % 4])
    shutil.rmtree(out / "a" / "instances")
    (out / "a" / "slide.json").unlink()
    assert run(out, slide).all_complete
    assert results(out / "a") == whole


def test_a_foreign_record_is_not_believed(slide, done, dark):
    out, whole = done
    path = out / "a" / "slide.json"
    told = json.loads(path.read_text())
    path.write_text(json.dumps(told | {"tiles_failed": "none at all", "cells": "many"}))
    assert run(out, slide).all_complete
    assert results(out / "a") == whole
    assert json.loads(path.read_text())["cells"] == told["cells"]


def test_temporary_files_of_killed_processes_are_cleared(slide, done, dark):
    out, whole = done
    for name in (
        "a/instances/r0000_c0000.npz.77.tmp",
        "a/cells.parquet.77.tmp",
        "a/slide.json.77-ab.tmp",
        "run.json.7.tmp",
    ):
        (out / name).write_bytes(b"half")
    (out / "a" / "scores.json").unlink()
    assert run(out, slide).all_complete
    assert results(out / "a") == whole
    assert not list(out.rglob("*.tmp"))


@pytest.fixture
def small_disk(tmp_path):
    """Return how to mount a file system in memory, of so many bytes, or to change that of one."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(options: str) -> subprocess.CompletedProcess[str]:
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    if os.geteuid() != 0 or mount("size=64m").returncode:
        pytest.skip("only root may mount a small file system")
    yield folder, lambda options: mount(f"remount,{options}")
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # the tile store of this process is still open


@pytest.mark.parametrize("room", ["40k", "300k", "900k"])
def test_a_full_disk_stops_the_run_which_says_so_and_goes_on_later(slide, tmp_path, dark, small_disk, room):
    folder, remount = small_disk
    second = tmp_path / "b.svs"
    shutil.copy(slide, second)
    run(tmp_path / "whole", [slide, second])
    dark.batches.clear()
    assert remount(f"size={room}").returncode == 0
    with pytest.raises(OutputDiskError, match="No space left") as told:
        run(folder / "out", [slide, second])
    assert "not finished: " in str(told.value)
    assert "b" in str(told.value).partition("not finished: ")[2]
    assert "run the same command again" in str(told.value)
    tried = len(dark.batches)
    assert remount("size=64m").returncode == 0
    assert run(folder / "out", [slide, second]).all_complete
    assert len(dark.batches) <= tried + 18  # what was done before is not done again, but for the tile that did not fit
    assert len(dark.batches) <= 18 + 1
    for name in ("a", "b"):
        assert results(folder / "out" / name) == results(tmp_path / "whole" / name)
    assert not list((folder / "out").rglob("*.tmp"))


def test_a_disk_that_may_not_be_written_to_is_told_at_once(slide, dark, small_disk):
    folder, remount = small_disk
    assert remount("ro").returncode == 0
    with pytest.raises(StoreError, match="Read-only file system"):
        run(folder / "out", slide)
    assert remount("rw").returncode == 0
    assert run(folder / "out", slide).all_complete
