from __future__ import annotations

import multiprocessing
import time

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.errors import SlideError, StoreError
from pathopipe.geometry import Box
from pathopipe.store.layout import discard
from pathopipe.store.spec import StoreSpec
from pathopipe.store.tiles import ChunkCount, TileStore
from pathopipe.tiling.spec import TissueSpec
from pathopipe.tiling.tissue import find_tissue
from tests.support.slides import ArraySlide
from tests.support.stores import CHUNK, SIZE, fill_until_killed, hammer, hold_forever, open_noise, pixels

PER_SIDE = -(-SIZE // CHUNK)
SPAWN = multiprocessing.get_context("spawn")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "slide" / "tiles.zarr"


def padded(reference, box):
    """Return ``box`` of the picture, white outside."""
    out = np.full((box.height, box.width, 3), 255, np.uint8)
    part = box.clipped(Box(0, 0, reference.shape[1], reference.shape[0]))
    inside = reference[part.y0 : part.y1, part.x0 : part.x1]
    out[part.y0 - box.y0 : part.y1 - box.y0, part.x0 - box.x0 : part.x1 - box.x0] = inside
    return out


def chunk_files(path):
    return {(int(each.parent.name), int(each.name)): each for each in (path / "0" / "c" / "0").glob("*/*")}


boxes = st.builds(
    lambda x, y, width, height: Box(x, y, x + width, y + height),
    st.integers(-300, SIZE + 100), st.integers(-300, SIZE + 100), st.integers(0, 500), st.integers(0, 500),
)  # fmt: skip


@given(st.lists(boxes, max_size=4))
@settings(deadline=None, max_examples=15)
def test_read_is_the_padded_crop_stored_or_not(tmp_path_factory, wanted):
    path = tmp_path_factory.mktemp("store") / "tiles.zarr"
    reference = pixels()
    with open_noise(path) as first, open_noise(path) as second, open_noise(None) as unkept:
        for box in wanted:
            for store in (first, second, unkept):
                assert np.array_equal(store.read(box), padded(reference, box))
        assert second.decoded == 0
        assert first.decoded == len(chunk_files(path)) == first.count(wanted).needed == first.count(wanted).stored


def test_between_levels_kept_and_unkept_agree(path):
    rgb = np.random.default_rng(2).integers(0, 256, (900, 800, 3), dtype=np.uint8)
    slide = ArraySlide(rgb, (0.3, 0.25))
    frame = slide.info.frame(0.47)
    kept = TileStore.open(path, slide, frame, StoreSpec(chunk_px=100))
    unkept = TileStore.open(None, slide, frame, StoreSpec(chunk_px=100))
    again = TileStore.open(path, slide, frame, StoreSpec(chunk_px=100))
    for box in (Box(-20, 90, 333, 170), Box(250, 250, 600, 600), frame.box):
        assert np.array_equal(kept.read(box), unkept.read(box))
        assert np.array_equal(kept.read(box), again.read(box))
    kept.close()


def test_only_what_is_read_is_stored_and_decoded_once(path):
    with open_noise(path) as store:
        assert not chunk_files(path)
        store.read(Box(10, 10, 100, 100))
        store.read(Box(0, 0, 128, 128))
        assert set(chunk_files(path)) == {(0, 0)}
        store.read(Box(100, 300, 200, 320))
        assert set(chunk_files(path)) == {(0, 0), (2, 0), (2, 1)}
        assert len(store._slide.reads) == store.decoded == 3
        assert store.count([Box(0, 0, 256, 128), Box(100, 300, 101, 301)]) == ChunkCount(needed=3, stored=2)
    with open_noise(path) as store:
        store.read(Box(0, 0, 256, 128))
        assert (store.decoded, store.reused) == (1, 1)


def test_chunks_outside_the_frame_are_never_read(path):
    with open_noise(path) as store:
        assert (store.read(Box(-500, -500, 0, 0)) == 255).all()
        assert (store.read(Box(SIZE, 0, SIZE + 64, 64)) == 255).all()
        assert store.read(Box(5, 5, 5, 9)).shape == (4, 0, 3)
        assert not store._slide.reads


def test_white_and_black_chunks_count_as_stored(path):
    rgb = np.full((256, 256, 3), 255, np.uint8)
    rgb[:128, :128] = 0
    for decoded in (4, 0):
        slide = ArraySlide(rgb, 0.5)
        with TileStore.open(path, slide, slide.info.frame(0.5), StoreSpec(chunk_px=128)) as store:
            assert np.array_equal(store.read(store.frame.box), rgb)
            assert store.decoded == len(slide.reads) == decoded


def test_memory_holds_few_chunks():
    with open_noise(None) as store:
        for _ in range(3):
            store.read(store.frame.box)
        assert store.decoded == PER_SIDE**2  # all of them fit
        store._cache.clear()
    slide = ArraySlide(np.zeros((64, 64 * 40, 3), np.uint8), 0.5)
    with TileStore.open(None, slide, slide.info.frame(0.5), StoreSpec(chunk_px=8192)) as store:
        store.read(Box(0, 0, 10, 10))
        assert len(store._cache) == 1


@pytest.mark.parametrize("damage", ["empty", "short", "cut", "flipped first", "flipped inside", "flipped last"])
@pytest.mark.parametrize("where", [(0, 0), (PER_SIDE - 1, PER_SIDE - 1)], ids=["whole chunk", "chunk cut by the frame"])
def test_a_damaged_chunk_is_decoded_again(path, damage, where):
    with open_noise(path) as store:
        store.read(store.frame.box)
    file = chunk_files(path)[where]
    data = bytearray(file.read_bytes())
    if damage.startswith("flipped"):
        data[{"first": 0, "inside": len(data) // 2, "last": -1}[damage.split()[1]]] ^= 4
    else:
        del data[{"empty": 0, "short": 3, "cut": len(data) // 2}[damage] :]
    file.write_bytes(data)
    for decoded in (1, 0):
        with open_noise(path) as store:
            assert np.array_equal(store.read(store.frame.box), pixels())
            assert store.decoded == decoded


@given(
    st.lists(
        st.one_of(
            boxes,
            st.just("reopen"),
            st.tuples(st.integers(0, PER_SIDE**2 - 1), st.integers(0, 10**6), st.integers(0, 255)),
        ),
        max_size=12,
    )
)
@settings(deadline=None, max_examples=25)
def test_any_order_of_reads_and_damage_gives_the_pixels_of_the_slide(tmp_path_factory, steps):
    """A step is a box to read, a chunk file to damage (flip a byte, or cut it there), or another process's view."""
    path = tmp_path_factory.mktemp("store") / "tiles.zarr"
    reference = pixels()
    store = open_noise(path)
    for step in steps:
        if step == "reopen":
            store.close()
            store = open_noise(path)
        elif isinstance(step, Box):
            assert np.array_equal(store.read(step), padded(reference, step))
        elif files := chunk_files(path):
            damage(sorted(files.values())[step[0] % len(files)], *step[1:])
    store.close()
    with open_noise(path) as after:
        assert np.array_equal(after.read(after.frame.box), reference)
    with open_noise(path) as again:
        assert np.array_equal(again.read(again.frame.box), reference)
        assert again.decoded == 0  # what was damaged is healed on disk
    level = zarr.open_array(path / "0", mode="r")
    assert np.array_equal(np.asarray(level[:]).transpose(1, 2, 0), reference)


def damage(file, where, value):
    data = bytearray(file.read_bytes())
    where %= max(len(data), 1)
    if value and data:
        data[where] ^= value
    else:
        del data[where:]
    file.write_bytes(data)


def test_other_readers_see_an_ome_zarr(path):
    slide = ArraySlide(pixels(), 0.5)
    tissue = find_tissue(slide, TissueSpec())
    with TileStore.open(path, slide, slide.info.frame(0.5), StoreSpec(chunk_px=CHUNK), tissue) as store:
        store.read(store.frame.box)
    group = zarr.open_group(path, mode="r")
    assert dict(group.arrays()).keys() == {"0", "1"}  # warns of nothing that is no part of the hierarchy
    ome = group.attrs["ome"]
    assert ome["version"] == "0.5"
    (scales,) = ome["multiscales"]
    assert [(axis["name"], axis["type"]) for axis in scales["axes"]] == [
        ("c", "channel"),
        ("y", "space"),
        ("x", "space"),
    ]
    assert all(axis["unit"] == "micrometer" for axis in scales["axes"][1:])
    for dataset, picture in zip(scales["datasets"], (pixels(), tissue.thumbnail), strict=True):
        array = group[dataset["path"]]
        assert array.metadata.dimension_names == ("c", "y", "x")
        assert np.array_equal(np.asarray(array[:]), picture.transpose(2, 0, 1))
        scale, *shift = dataset["coordinateTransformations"]
        assert scale["type"] == "scale"
        # The corner of the first pixel, half a pixel before its centre, is the same in all levels.
        centre = np.array(shift[0]["translation"] if shift else [0, 0, 0])
        assert centre - np.array(scale["scale"]) / 2 == pytest.approx([-0.5, -0.25, -0.25])
    assert scales["datasets"][1]["coordinateTransformations"][0]["scale"] == [1.0, 8.0, 8.0]
    assert [channel["color"] for channel in ome["omero"]["channels"]] == ["FF0000", "00FF00", "0000FF"]
    assert group["0"].chunks == (3, CHUNK, CHUNK)
    assert group["0"].fill_value == 255


def test_unread_chunks_are_white_to_other_readers(path):
    with open_noise(path) as store:
        store.read(Box(0, 0, 1, 1))
    array = np.asarray(zarr.open_array(path / "0", mode="r")[:])
    assert (array[:, :, CHUNK:] == 255).all()


@pytest.mark.parametrize(
    ("other", "told"),
    [
        ({"identity": "ffff"}, "slide"),
        ({"mpp": 0.4}, "width"),
        ({"chunk_px": 256}, r"store\.chunk_px 128 instead of 256"),
    ],
)
def test_a_store_of_something_else_is_refused(path, other, told):
    open_noise(path).close()
    chunk_px = other.pop("chunk_px", CHUNK)
    slide = ArraySlide(pixels(), **{"mpp": 0.5, **other})
    frame = slide.info.frame(0.5)
    assert not TileStore.matches(path, slide.info, frame, StoreSpec(chunk_px=chunk_px))
    with pytest.raises(StoreError, match=rf"{told}.*remove it"):
        TileStore.open(path, slide, frame, StoreSpec(chunk_px=chunk_px))
    assert discard(path)
    assert TileStore.matches(path, slide.info, frame, StoreSpec(chunk_px=chunk_px))
    TileStore.open(path, slide, frame, StoreSpec(chunk_px=chunk_px)).close()


def test_a_store_of_another_format_is_refused(path):
    open_noise(path).close()
    meta = path / "zarr.json"
    meta.write_text(meta.read_text().replace('"format": 2', '"format": 99'))
    with pytest.raises(StoreError, match="format 99"):
        open_noise(path)
    meta.write_text(meta.read_text().replace('"chunk_px"', '"chunk_pixels"').replace('"format": 99', '"format": 2'))
    with pytest.raises(StoreError, match="damaged"):
        open_noise(path)


def test_a_store_of_the_first_format_is_made_anew(path):
    """Format 1 went through zarr's arrays, with zstd's level 1."""
    open_noise(path).close()
    meta = path / "zarr.json"
    meta.write_text(meta.read_text().replace('"format": 2', '"format": 1'))
    slide = ArraySlide(pixels(), 0.5)
    frame, spec = slide.info.frame(0.5), StoreSpec(chunk_px=CHUNK)
    assert not TileStore.matches(path, slide.info, frame, spec)
    with pytest.raises(StoreError, match="format 1, and this version of pathopipe has format 2"):
        TileStore.open(path, slide, frame, spec)
    assert discard(path)
    with TileStore.open(path, slide, frame, spec) as store:
        assert np.array_equal(store.read(frame.box), pixels())


def test_what_is_no_store_is_neither_opened_nor_removed(path):
    path.mkdir(parents=True)
    (path / "zarr.json").write_text("{}")
    (path / "precious").write_text("mine")
    with pytest.raises(StoreError, match="not a tile store"):
        open_noise(path)
    with pytest.raises(StoreError, match="not a tile store"):
        discard(path)
    (path / "zarr.json").unlink()
    with pytest.raises(StoreError, match="not a tile store"):
        open_noise(path)
    assert (path / "precious").read_text() == "mine"
    assert not discard(path.with_name("none.zarr"))


def test_a_folder_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        open_noise(tmp_path / "file" / "tiles.zarr")


def test_a_full_disk_is_told(path, monkeypatch):
    with open_noise(path) as store:

        def full(*_, **__):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.replace", full)
        with pytest.raises(StoreError, match=r"No space left.*store\.keep=false"):
            store.read(Box(0, 0, 1, 1))
        monkeypatch.undo()
        assert not list(path.rglob("*.partial"))
        assert np.array_equal(store.read(store.frame.box), pixels())


def test_a_slide_error_leaves_the_chunk_absent_and_unlocked(path):
    with open_noise(path) as store:
        store._slide.closed = True
        with pytest.raises(SlideError):
            store.read(Box(0, 0, 1, 1))
        assert not chunk_files(path)
        store._slide.closed = False
        assert np.array_equal(store.read(store.frame.box), pixels())


@pytest.mark.parametrize(("processes", "threads"), [(1, 6), (3, 1), (2, 3)])
def test_no_chunk_is_decoded_twice(path, tmp_path, processes, threads):
    log = tmp_path / "log"
    log.mkdir()
    start = SPAWN.Barrier(processes)
    workers = [SPAWN.Process(target=hammer, args=(path, log, seed, start, threads)) for seed in range(processes)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0] * processes
    assert len(list(log.iterdir())) == PER_SIDE**2
    assert len(chunk_files(path)) == PER_SIDE**2


def test_closing_one_store_leaves_the_locks_of_another(path):
    with open_noise(path) as first, first._locks.hold(0):
        open_noise(path).close()
        second = SPAWN.Event()
        other = SPAWN.Process(target=hold_forever, args=(path, 0, second))
        other.start()
        assert not second.wait(2.0)
        other.kill()
        other.join()


def test_a_killed_process_leaves_no_lock(path):
    open_noise(path).close()
    held = SPAWN.Event()
    other = SPAWN.Process(target=hold_forever, args=(path, 0, held))
    other.start()
    assert held.wait(30)
    other.kill()
    other.join()
    began = time.monotonic()
    with open_noise(path) as store:
        store.read(Box(0, 0, 1, 1))
    assert time.monotonic() - began < 5


def test_a_killed_writer_leaves_whole_chunks_alone(path):
    for wait in (0.02, 0.06):
        started = SPAWN.Event()
        writer = SPAWN.Process(target=fill_until_killed, args=(path, started))
        writer.start()
        assert started.wait(30)
        time.sleep(wait)
        writer.kill()
        writer.join()
        there = len([file for file in (path / "0" / "c" / "0").glob("*/*") if file.name.isdecimal()])
        with open_noise(path) as store:
            assert np.array_equal(store.read(store.frame.box), pixels())
            # What was there under its name was whole: all of it was used.
            assert (store.reused, store.decoded) == (there, PER_SIDE**2 - there)
