from __future__ import annotations

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from zarr.codecs import Crc32cCodec, TransposeCodec, ZstdCodec

from pathopipe.files import write_json
from pathopipe.store.chunks import ChunkFiles, array_metadata

CHUNK = 64
HEIGHT, WIDTH = 150, 200


@pytest.fixture(scope="module")
def picture():
    """Return (HEIGHT, WIDTH, 3): noise, smooth, and white parts."""
    rgb = np.random.default_rng(3).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    rgb[:70, 60:] = np.arange(WIDTH - 60, dtype=np.uint8)[None, :, None]
    rgb[70:, 128:] = 255
    return rgb


def places():
    return [(row, col) for row in range(-(-HEIGHT // CHUNK)) for col in range(-(-WIDTH // CHUNK))]


def part(picture, row, col):
    return picture[row * CHUNK : (row + 1) * CHUNK, col * CHUNK : (col + 1) * CHUNK]


@pytest.fixture
def ours(tmp_path, picture):
    folder = tmp_path / "ours"
    folder.mkdir()
    write_json(folder / "zarr.json", array_metadata(HEIGHT, WIDTH, CHUNK))
    chunks = ChunkFiles(folder, CHUNK)
    for row, col in places():
        chunks.save(row, col, part(picture, row, col))
    return folder


@pytest.fixture
def theirs(tmp_path, picture):
    folder = tmp_path / "theirs"
    level = zarr.create_array(
        folder,
        shape=(3, HEIGHT, WIDTH),
        chunks=(3, CHUNK, CHUNK),
        dtype="uint8",
        filters=[TransposeCodec(order=(1, 2, 0))],
        compressors=[ZstdCodec(level=-5), Crc32cCodec()],
        fill_value=255,
        dimension_names=("c", "y", "x"),
        config={"write_empty_chunks": True},
    )
    level[:] = picture.transpose(2, 0, 1)
    return folder


def test_zarr_reads_what_is_written_here(ours, picture):
    level = zarr.open_array(ours, mode="r")
    assert np.array_equal(np.asarray(level[:]).transpose(1, 2, 0), picture)


def test_what_zarr_writes_is_read_here(theirs, picture):
    chunks = ChunkFiles(theirs, CHUNK)
    for row, col in places():
        wanted = part(picture, row, col)
        assert np.array_equal(chunks.load(row, col)[: wanted.shape[0], : wanted.shape[1]], wanted)


def test_files_are_those_that_zarr_writes(ours, theirs):
    assert zarr.open_array(ours, mode="r").metadata == zarr.open_array(theirs, mode="r").metadata
    written = {file.relative_to(theirs / "c"): file.read_bytes() for file in (theirs / "c").rglob("*/*/*")}
    assert {file.relative_to(ours / "c"): file.read_bytes() for file in (ours / "c").rglob("*/*/*")} == written


def test_zarr_may_write_into_our_level(ours, picture):
    level = zarr.open_array(ours, mode="r+")
    level[:, :CHUNK, :CHUNK] = 7
    assert (ChunkFiles(ours, CHUNK).load(0, 0) == 7).all()
    assert np.array_equal(ChunkFiles(ours, CHUNK).load(0, 1), part(picture, 0, 1))


def test_zarr_notices_damage_too(ours):
    file = ours / "c" / "0" / "0" / "0"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    with pytest.raises((ValueError, RuntimeError)):
        zarr.open_array(ours, mode="r")[:]


def test_chunks_of_another_side_are_not_taken(ours):
    assert ChunkFiles(ours, CHUNK // 2).load(0, 0) is None
    assert ChunkFiles(ours, CHUNK * 2).load(0, 0) is None


def test_columns_are_those_with_a_file(ours):
    chunks = ChunkFiles(ours, CHUNK)
    assert sorted(chunks.columns(0)) == [0, 1, 2, 3]
    assert chunks.columns(99) == []
    (ours / "c" / "0" / "0" / "2").unlink()
    (ours / "c" / "0" / "0" / "7.abc.partial").touch()
    assert sorted(chunks.columns(0)) == [0, 1, 3]


def test_a_chunk_cut_by_the_frame_is_white_beyond_it(ours, picture):
    chunk = ChunkFiles(ours, CHUNK).load(2, 3)
    assert chunk.shape == (CHUNK, CHUNK, 3)
    assert (chunk[HEIGHT - 2 * CHUNK :] == 255).all()
    assert (chunk[:, WIDTH - 3 * CHUNK :] == 255).all()


edits = st.one_of(
    st.tuples(st.just("flip"), st.integers(0, 10**6), st.integers(1, 255)),
    st.tuples(st.just("cut"), st.integers(0, 10**6), st.just(0)),
    st.tuples(st.just("zeros"), st.integers(0, 10**6), st.just(0)),
    st.tuples(st.just("more"), st.just(0), st.integers(0, 255)),
    st.tuples(st.just("noise"), st.integers(0, 300), st.integers(0, 2**31)),
)


def damaged(data: bytes, edit: tuple[str, int, int]) -> bytes:
    kind, where, value = edit
    bent = bytearray(data)
    if kind == "flip":
        bent[where % len(bent)] ^= value
    elif kind == "cut":
        del bent[where % len(bent) :]
    elif kind == "zeros":  # what a power cut leaves: the length is there, the rest of the bytes are not
        bent[where % len(bent) :] = bytes(len(bent) - where % len(bent))
    elif kind == "more":
        bent.append(value)
    else:
        bent[:] = np.random.default_rng(value).bytes(where)
    return bytes(bent)


@given(edit=edits, place=st.sampled_from(places()))
@settings(deadline=None, max_examples=150)
def test_no_damage_is_taken_for_pixels(tmp_path_factory, picture, edit, place):
    folder = tmp_path_factory.getbasetemp() / "damage"
    chunks = ChunkFiles(folder, CHUNK)
    chunks.save(*place, part(picture, *place))
    whole = chunks.load(*place)
    file = folder / "c" / "0" / str(place[0]) / str(place[1])
    data = file.read_bytes()
    bent = damaged(data, edit)
    file.write_bytes(bent)
    if bent == data:
        assert np.array_equal(chunks.load(*place), whole)
    else:
        assert chunks.load(*place) is None
