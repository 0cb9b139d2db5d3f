"""How many processes share a GPU, on GPUs that are not there."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from pathopipe.engine import cluster
from pathopipe.engine.cluster import expected_workers
from pathopipe.engine.spec import EngineSpec
from pathopipe.models.device import processes_per_gpu

GIB = 2**30


@pytest.fixture
def gpus(monkeypatch):
    """Let a test say how large the GPUs of this machine are."""

    def have(*gib: int) -> None:
        sizes = [SimpleNamespace(total_memory=each * GIB) for each in gib]
        monkeypatch.setattr("torch.cuda.device_count", lambda: len(sizes))
        monkeypatch.setattr("torch.cuda.get_device_properties", lambda index: sizes[index])

    return have


@pytest.mark.parametrize(
    ("cores", "gib", "processes"),
    [(16, (80,), 8), (4, (80,), 4), (16, (8,), 2), (16, (80, 12), 4), (16, (2,), 1), (0, (80,), 1)],
)
def test_a_gpu_is_shared_as_far_as_cores_and_memory_go(gpus, cores, gib, processes):
    gpus(*gib)
    assert processes_per_gpu(cores) == processes


def test_cores_are_divided_among_gpus_where_nothing_else_is_asked_for(gpus, monkeypatch):
    gpus(80, 80)
    monkeypatch.setattr(cluster, "_cores", lambda: 12)
    assert expected_workers(EngineSpec(), ("0", "1")) == 12
    assert expected_workers(EngineSpec(workers=2), ("0", "1")) == 2
    assert expected_workers(EngineSpec()) == 12
