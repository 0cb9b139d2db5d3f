"""A GPU whose memory is too small for a batch: the branch for GPUs, on the CPU, with a memory of so many tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pathopipe.models import predictor as module
from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_predictor
from tests.support.faults import discs


@pytest.fixture(scope="module")
def tiles():
    return np.stack([discs(seed, 192) for seed in range(5)])


def small_gpu(monkeypatch, holds: int):
    """Return a predictor with batches of 4, the sizes of those that were tried, and memory for ``holds`` tiles."""
    real, tried = module.infer, []

    def infer(net, batch, bf16):
        tried.append(len(batch))
        if len(batch) > holds:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(net, batch, bf16)

    monkeypatch.setattr(module, "infer", infer)
    predictor = load_predictor(ModelSpec(device="cpu", bf16="off", int8="off", batch_tiles=4))
    predictor.device = torch.device("cuda")
    return predictor, tried


def test_batches_are_halved_until_they_fit_and_stay_so(monkeypatch, tiles, caplog):
    predictor, tried = small_gpu(monkeypatch, 1)
    found = predictor.predict(tiles)
    assert tried == [4, 2, 1, 1, 1, 1, 1]
    assert "batches of 1 tiles" in caplog.text
    tried.clear()
    again = predictor.predict(tiles[:2])
    assert tried == [1, 1]
    for one, other in zip(found, again, strict=False):
        assert len(one) > 0
        assert np.array_equal(one.outlines.coords, other.outlines.coords)


def test_every_tile_is_found_once_and_in_its_place(monkeypatch, tiles):
    halved = small_gpu(monkeypatch, 2)[0].predict(tiles)
    whole = small_gpu(monkeypatch, 4)[0].predict(tiles)
    assert len(halved) == len(whole) == len(tiles)
    for one, other in zip(halved, whole, strict=True):
        assert len(one) == len(other)
        assert np.allclose(one.outlines.coords, other.outlines.coords, atol=0.01)


def test_a_single_tile_that_does_not_fit_is_an_error(monkeypatch, tiles):
    predictor, _ = small_gpu(monkeypatch, 0)
    with pytest.raises(torch.OutOfMemoryError):
        predictor.predict(tiles)
