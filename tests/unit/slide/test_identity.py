from __future__ import annotations

import shutil
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.slide import identity, open_slide
from tests.support.drawn_slides import noise, write_ome_zarr, write_tiff


def test_a_copy_under_another_name_is_the_same(tmp_path):
    one = write_tiff(tmp_path / "one.tif", [noise(600, 600)])
    two = shutil.copy(one, tmp_path / "two.svs")
    assert identity.of_file(one) == identity.of_file(tmp_path / two)


@settings(deadline=None, max_examples=30)
@given(size=st.integers(1, 400_000), where=st.sampled_from(["start", "middle", "end", "length"]))
def test_other_content_is_another_slide(tmp_path_factory, size, where):
    path = tmp_path_factory.mktemp("identity") / "a"
    data = bytearray(size)
    path.write_bytes(data)
    before = identity.of_file(path)
    if where == "length":
        data += b"\0"
    else:
        data[{"start": 0, "middle": size // 2, "end": size - 1}[where]] ^= 1
    path.write_bytes(data)
    assert identity.of_file(path) != before


def test_a_large_file_takes_a_moment(tmp_path):
    path = tmp_path / "large.svs"
    with path.open("wb") as stream:
        stream.truncate(20 * 1024**3)
    start = time.process_time()
    identity.of_file(path)
    assert time.process_time() - start < 0.05


def test_a_zarr_keeps_its_identity_under_another_name_and_changes_with_a_chunk(tmp_path):
    write_ome_zarr(tmp_path / "one.zarr", [noise(200, 200)])
    shutil.copytree(tmp_path / "one.zarr", tmp_path / "two.zarr")
    identities = []
    for name in ("one.zarr", "two.zarr"):
        with open_slide(tmp_path / name) as slide:
            identities.append(slide.info.identity)
    assert identities[0] == identities[1]
    (tmp_path / "two.zarr" / "0" / "c" / "0" / "0" / "0").unlink()
    with open_slide(tmp_path / "two.zarr") as slide:
        assert slide.info.identity != identities[0]


def test_the_listing_of_a_folder_is_bounded(tmp_path, monkeypatch):
    for number in range(20):
        (tmp_path / f"{number:02d}").mkdir()
        (tmp_path / f"{number:02d}" / "chunk").write_bytes(b"x" * number)
    monkeypatch.setattr(identity, "MOST_LISTED", 5)
    before = identity.of_folder(tmp_path, [])
    (tmp_path / "19" / "chunk").write_bytes(b"changed")
    assert identity.of_folder(tmp_path, []) == before
    (tmp_path / "03" / "chunk").write_bytes(b"changed")
    assert identity.of_folder(tmp_path, []) != before
