"""Slides whose headers ask for what no glass slide has are refused before a library sees them."""

from __future__ import annotations

import json
import struct
import time
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.errors import LimitError, SlideError
from pathopipe.limits import LimitsSpec
from pathopipe.slide.header import check_header
from pathopipe.slide.open import open_slide
from tests.support.drawn_slides import noise, write_ome_zarr, write_svs, write_tiff

ROOM = LimitsSpec()


def changed(data: bytes, tag: int, value: int, nth: int = 0) -> bytes:
    """A little-endian classic TIFF in which the ``nth`` directory's ``tag`` has another value (as a LONG)."""
    found = bytearray(data)
    place = struct.unpack_from("<I", data, 4)[0]
    for _ in range(nth):
        count = struct.unpack_from("<H", data, place)[0]
        place = struct.unpack_from("<I", data, place + 2 + 12 * count)[0]
    for entry in range(struct.unpack_from("<H", data, place)[0]):
        at = place + 2 + 12 * entry
        if struct.unpack_from("<H", data, at)[0] == tag:
            struct.pack_into("<HIi", found, at + 2, 4, 1, value)
            return bytes(found)
    raise KeyError(tag)


@pytest.fixture
def svs(tmp_path):
    return write_svs(tmp_path / "a.svs", [noise(600, 400), noise(150, 100)])


@pytest.mark.parametrize("options", [{}, {"byteorder": ">"}, {"bigtiff": True}], ids=["classic", "big-endian", "big"])
def test_ordinary_slides_pass_in_every_kind_of_tiff(tmp_path, options):
    import tifffile

    with tifffile.TiffWriter(tmp_path / "a.tif", **options) as writer:
        writer.write(noise(600, 400), tile=(256, 256), photometric="rgb")
        writer.write(noise(600, 400), photometric="rgb", rowsperstrip=100)
    check_header(str(tmp_path / "a.tif"), ROOM)
    with pytest.raises(LimitError, match=r"pixels of a tile: 65,536.*--set limits.max_block_px=65536"):
        check_header(str(tmp_path / "a.tif"), LimitsSpec(max_block_px=65_535))
    with tifffile.TiffWriter(tmp_path / "s.tif", **options) as writer:
        writer.write(noise(600, 400), photometric="rgb", rowsperstrip=100)
    with pytest.raises(LimitError, match=r"pixels of a strip: .*limits.max_block_px"):
        check_header(str(tmp_path / "s.tif"), LimitsSpec(max_block_px=59_999))
    with pytest.raises(LimitError, match=r"pictures in the file: 2"):
        check_header(str(tmp_path / "a.tif"), LimitsSpec(max_levels=1))
    with pytest.raises(LimitError, match=r"tiles or strips of a level: 6"):
        check_header(str(tmp_path / "a.tif"), LimitsSpec(max_blocks=5))


@pytest.mark.parametrize(
    ("tag", "value", "told"),
    [(322, 1 << 20, r"limits\.max_block_px"), (257, 1 << 30, r"is damaged: .* tiles, and it lists 6")],
)
def test_a_tile_or_slide_of_absurd_size_is_refused(svs, tag, value, told):
    data = changed(svs.read_bytes(), tag, value)
    data = changed(data, 323, value) if tag == 322 else changed(data, 256, 1 << 30)
    svs.write_bytes(data)
    with pytest.raises((LimitError, SlideError), match=told):
        open_slide(svs)


def test_a_limit_can_be_raised(tmp_path):
    path = write_tiff(tmp_path / "a.tif", [noise(600, 400)], mpp=0.5)
    with pytest.raises(LimitError, match=r"a.tif: pixels: 240,000, and no more than limits.max_slide_px=1,000"):
        open_slide(path, limits=LimitsSpec(max_slide_px=1000))
    open_slide(path, limits=LimitsSpec(max_slide_px=240_000)).close()
    open_slide(path, limits=None).close()


def test_directories_in_a_circle_end(svs):
    data = bytearray(svs.read_bytes())
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    svs.write_bytes(data)
    check_header(str(svs), ROOM)


def test_a_tile_of_a_chunked_zarr_is_bounded(tmp_path):
    path = write_ome_zarr(tmp_path / "a.zarr", [noise(600, 400)])
    check_header(str(path), ROOM)
    array = tmp_path / "a.zarr" / "0" / "zarr.json"
    values = json.loads(array.read_text())
    values["chunk_grid"]["configuration"]["chunk_shape"] = [3, 1_000_000, 1_000_000]
    array.write_text(json.dumps(values))
    with pytest.raises(LimitError, match=r"pixels of a chunk: 1,000,000,000,000"):
        open_slide(path)
    values["chunk_grid"]["configuration"]["chunk_shape"] = [1, 1, 1]
    values["shape"] = [3, 10**9, 10**9]
    array.write_text(json.dumps(values))
    with pytest.raises(LimitError, match=r"chunks of a level"):
        open_slide(path)
    array.write_text("[" * 100_000)
    check_header(str(path), ROOM)


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_whatever_the_bytes_the_header_is_passed_or_refused_at_once(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp()
    path = folder / "fuzzed.tif"
    if not (folder / "sound.svs").exists():
        write_svs(folder / "sound.svs", [noise(300, 200), noise(75, 50)])
    sound = (folder / "sound.svs").read_bytes()
    # The directories are at the end of what tifffile writes: bytes near them are changed most.
    start = data.draw(st.sampled_from([0, max(0, len(sound) - 3000)]))
    changes = data.draw(st.lists(st.tuples(st.integers(start, len(sound) - 1), st.integers(0, 255)), max_size=30))
    fuzzed = bytearray(sound)
    for place, value in changes:
        fuzzed[place] = value
    path.write_bytes(fuzzed[: data.draw(st.integers(0, len(fuzzed)))] if data.draw(st.booleans()) else fuzzed)
    began = time.process_time()
    with suppress(LimitError, SlideError):
        check_header(str(path), ROOM)
    assert time.process_time() - began < 5


def test_noise_is_passed(tmp_path):
    (tmp_path / "n.tif").write_bytes(b"II*\0" + np.random.default_rng(0).bytes(5000))
    check_header(str(tmp_path / "n.tif"), ROOM)
