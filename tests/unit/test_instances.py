"""Instances: arrays that stay together, and their file."""

from __future__ import annotations

import numpy as np
import pytest

from pathopipe.errors import StoreError
from pathopipe.geometry import Outlines
from pathopipe.instances import Instances


def some(number: int, start: float = 0) -> Instances:
    rings = [np.array([[0, 0], [4, 0], [4, 4]]) + start + 10 * index for index in range(number)]
    column = np.arange(number, dtype=np.float32)
    return Instances(Outlines.of(rings), column / 10, np.zeros(number, np.uint8), ("Nucleus",), {"od": column})


def test_what_is_saved_is_loaded(tmp_path):
    saved = some(5, 100_000)
    saved.save(tmp_path / "a.npz")
    loaded = Instances.load(tmp_path / "a.npz")
    assert np.array_equal(loaded.outlines.coords, saved.outlines.coords)
    assert np.array_equal(loaded.measurements["od"], saved.measurements["od"])
    assert loaded.classes == saved.classes
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]


def test_none_are_saved_too(tmp_path):
    Instances.empty(("Nucleus",), ["od"]).save(tmp_path / "a.npz")
    assert len(Instances.load(tmp_path / "a.npz")) == 0


def test_equal_instances_are_equal_bytes(tmp_path):
    some(3).save(tmp_path / "a.npz")
    some(3).save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"nonsense" * 100])
def test_a_damaged_file_is_told(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(StoreError, match=r"a\.npz"):
        Instances.load(tmp_path / "a.npz")


def test_take_and_concat_keep_columns_together():
    both = Instances.concat([some(3), some(2, 1000)])
    taken = both.take(np.array([4, 0]))
    assert taken.measurements["od"].tolist() == [1, 0]
    assert taken.outlines.ring(0)[0].tolist() == [1010, 1010]


def test_parts_that_differ_are_not_put_together():
    with pytest.raises(ValueError, match="differ"):
        Instances.concat([some(1), Instances.empty(("Other",), ["od"])])
    with pytest.raises(ValueError, match="shape"):
        some(2).with_measurements(area=np.zeros(3))
