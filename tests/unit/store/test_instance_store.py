from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from pathopipe.errors import StoreError
from pathopipe.geometry import Outlines
from pathopipe.instances import Instances
from pathopipe.store.instances import InstanceStore
from pathopipe.tiling.grid import GridSpec, TileGrid

GRID = TileGrid.cover(1000, 1000, GridSpec(tile_px=256, halo_px=16), 0)
TILES = tuple(GRID)


def some(number=3, seed=0):
    rng = np.random.default_rng(seed)
    rings = [rng.uniform(0, 1000, (rng.integers(3, 9), 2)) for _ in range(number)]
    return Instances(
        Outlines.of(rings),
        rng.random(number).astype(np.float32),
        np.zeros(number, np.uint8),
        ("Nucleus",),
        {"haematoxylin_od": rng.random(number).astype(np.float32)},
    )


@pytest.fixture
def store(tmp_path):
    return InstanceStore(tmp_path / "instances", "abc")


def same(one, two):
    return (
        np.array_equal(one.outlines.coords, two.outlines.coords)
        and np.array_equal(one.outlines.offsets, two.outlines.offsets)
        and np.array_equal(one.score, two.score)
        and one.classes == two.classes
        and np.array_equal(one.class_id, two.class_id)
        and one.measurements.keys() == two.measurements.keys()
        and all(np.array_equal(values, two.measurements[name]) for name, values in one.measurements.items())
    )


def test_what_is_put_is_got(store):
    store.put(TILES[0], some())
    store.put(TILES[1], Instances.empty(("Nucleus",), ["haematoxylin_od"]))
    assert same(store.get(TILES[0]), some())
    assert len(store.get(TILES[1])) == 0
    assert store.has(TILES[0])
    assert not store.has(TILES[2])
    assert store.missing(TILES) == TILES[2:]
    assert store.missing(reversed(TILES)) == tuple(reversed(TILES[2:]))


def test_a_tile_never_put_is_an_error(store):
    with pytest.raises(StoreError, match="run again"):
        store.get(TILES[3])


def test_the_same_instances_are_the_same_bytes(store, tmp_path):
    other = InstanceStore(tmp_path / "other", "abc")
    for each in (store, other):
        each.put(TILES[0], some())
    one, two = (each.folder / f"{TILES[0].name}.npz" for each in (store, other))
    assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("keep", [0, 1, 50, -1])
def test_a_truncated_file_is_told_and_missing_from_then_on(store, keep):
    store.put(TILES[0], some())
    file = store.folder / f"{TILES[0].name}.npz"
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(StoreError, match="run again"):
        store.get(TILES[0])
    assert not store.has(TILES[0])
    assert store.missing(TILES) == TILES


def test_no_flipped_bit_gives_other_instances(store):
    store.put(TILES[0], some())
    file = store.folder / f"{TILES[0].name}.npz"
    data = file.read_bytes()
    for place in range(0, len(data), 3):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        file.write_bytes(flipped)
        try:
            assert same(store.get(TILES[0]), some())  # a bit that says nothing, such as a date
        except StoreError:
            assert not file.exists()


def test_another_fingerprint_is_refused_and_discarded_only_when_opened_for_a_run(store):
    store.put(TILES[0], some())
    store.put(TILES[5], some())
    with pytest.raises(StoreError, match=r"abc, not def.*remove it"):
        InstanceStore(store.folder, "def")
    assert store.has(TILES[0])
    assert InstanceStore.open(store.folder, "abc").discarded == 0
    assert store.missing(TILES[:1]) == ()
    renewed = InstanceStore.open(store.folder, "def")
    assert renewed.discarded == 2
    assert renewed.missing(TILES) == TILES
    with pytest.raises(StoreError):
        InstanceStore(store.folder, "abc")


def test_results_without_a_fingerprint_are_not_trusted(store):
    store.put(TILES[0], some())
    for text in (None, "{", json.dumps({"fingerprint": 3})):
        (store.folder / "fingerprint.json").unlink(missing_ok=True)
        if text is not None:
            (store.folder / "fingerprint.json").write_text(text)
        with pytest.raises(StoreError):
            InstanceStore(store.folder, "abc")
    assert InstanceStore.open(store.folder, "abc").discarded == 1


def test_what_killed_processes_left_is_cleared(store):
    (store.folder / f"{TILES[0].name}.npz.123.tmp").write_bytes(b"half")
    assert store.missing(TILES) == TILES
    assert store.clear_temporary() == 1
    assert [path.name for path in store.folder.iterdir()] == ["fingerprint.json"]
    (store.folder / f"{TILES[0].name}.npz.123.tmp").write_bytes(b"half")
    InstanceStore.open(store.folder, "abc")
    assert [path.name for path in store.folder.iterdir()] == ["fingerprint.json"]


def test_a_folder_that_vanished_is_told(store):
    (store.folder / "fingerprint.json").unlink()
    store.folder.rmdir()
    with pytest.raises(StoreError, match="cannot be written"):
        store.put(TILES[0], some())


def test_a_tile_that_answers_for_another_box_now_is_missing(store):
    tile = TILES[6]
    for core in (tile.core._replace(x0=tile.core.x0 + 64), tile.core._replace(y1=tile.core.y1 - 8)):
        other = replace(tile, core=core, read=core.grown(16))
        store.put(tile, some())
        assert store.missing([tile]) == ()
        assert store.missing([other]) == (other,)
        with pytest.raises(StoreError, match="run again"):
            store.get(other)
        assert store.missing([tile]) == (tile,)  # what answers for another box is removed
        store.put(other, some())
        assert store.missing([other]) == ()
        assert store.missing([tile]) == (tile,)
