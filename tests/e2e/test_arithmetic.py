"""What tiles are computed in: never two ways in one slide, whoever goes on with it; workers that differ meet.

One processor is made two by oneDNN's own variable, which keeps it from the instructions for products of bytes.
"""

from __future__ import annotations

import json

import pytest
from distributed import Client

from pathopipe.batch.run import run_batch
from pathopipe.batch.shards import Shard
from pathopipe.config import load_config
from pathopipe.engine.cluster import start_executor
from pathopipe.engine.spec import EngineSpec
from pathopipe.models.arithmetic import offered
from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_card
from pathopipe.progress import Silent
from pathopipe.slide.find import find_slides
from pathopipe.synth.slide import draw_slide
from pathopipe.synth.spec import SynthSpec
from tests.support.cli import results
from tests.support.programs import Programs

CAP = "ONEDNN_MAX_CPU_ISA"
pytestmark = pytest.mark.skipif(
    offered(ModelSpec(device="cpu")) != ("int8", "float32"), reason="this processor has no products of bytes"
)


class Told(Silent):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text):
        self.lines.append(text)

    def warnings(self):
        return [line for line in self.lines if line.startswith("warning")]


def run(slides, out, *settings, cluster="serial", shard=None):
    """Run over ``slides`` in this process; return what it said and how many slides were unchanged."""
    config = load_config(settings=["grid.tile_px=320", "model.device=cpu", *settings])
    told = Told()
    with start_executor(EngineSpec(cluster=cluster, start_timeout_s=60)) as executor:
        done = run_batch(find_slides([str(slides)]), out, config, load_card(config.model), executor, told, [], shard)
    assert done.all_complete
    return told.warnings(), done.unchanged


def arithmetic(folder):
    return json.loads((folder / "slide.json").read_text())["model"]["arithmetic"]


@pytest.fixture(scope="module")
def slides(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slides")
    for seed, name in enumerate("ab"):
        draw_slide(folder / f"{name}.svs", SynthSpec(width=640, height=640, seed=seed))
    return folder


@pytest.fixture(scope="module")
def in_float32(slides, tmp_path_factory):
    """What one process makes of the slides in float32."""
    out = tmp_path_factory.mktemp("plain") / "out"
    run(slides, out, "model.int8=off")
    return out


def test_a_slide_is_never_gone_on_with_in_another_way(slides, in_float32, tmp_path, monkeypatch):
    out, again = tmp_path / "out", slides / "a.svs"
    assert run(again, out) == ([], 0)
    assert arithmetic(out / "a") == "int8"
    in_int8 = results(out / "a")
    assert in_int8["cells.parquet"] != results(in_float32 / "a")["cells.parquet"]

    monkeypatch.setenv(CAP, "AVX2")
    assert run(again, out) == ([], 1)  # what is complete holds, whichever machine looks at it
    (out / "a" / "scores.json").unlink()
    warnings, _ = run(again, out)
    assert warnings == ["warning: a was begun in int8, which is not to be had here: all of it is done in float32"]
    assert arithmetic(out / "a") == "float32"
    assert results(out / "a") == results(in_float32 / "a")

    monkeypatch.delenv(CAP)
    (out / "a" / "scores.json").unlink()
    tiles = {path: path.stat().st_mtime_ns for path in (out / "a" / "instances").glob("*.npz")}
    assert run(again, out) == ([], 0)  # it could compute in int8, but goes on with what is there
    assert results(out / "a") == results(in_float32 / "a")
    assert tiles == {path: path.stat().st_mtime_ns for path in (out / "a" / "instances").glob("*.npz")}
    assert run(again, out, "model.int8=off") == ([], 1)
    assert run(again, out, "model.int8=on") == ([], 0)  # asked for by name
    assert results(out / "a") == in_int8


def test_shards_that_compute_in_different_ways_say_so(slides, in_float32, tmp_path, monkeypatch):
    assert run(slides, tmp_path, shard=Shard(1, 2)) == ([], 0)
    monkeypatch.setenv(CAP, "AVX2")
    warnings, _ = run(slides, tmp_path, shard=Shard(2, 2))
    assert len(warnings) == 1
    assert "shard 1/2 computes in int8, this one in float32" in warnings[0]
    assert [arithmetic(tmp_path / name) for name in "ab"] == ["int8", "float32"]
    parts = json.loads((tmp_path / "run.json").read_text())["shards"]["parts"]
    assert [parts[number]["arithmetic"] for number in "12"] == ["int8", "float32"]
    assert run(slides, tmp_path) == ([], 2)


def test_workers_that_differ_meet_in_what_all_can_compute_in(slides, in_float32, tmp_path):
    programs = Programs(tmp_path)
    try:
        programs.scheduler()
        programs.worker()
        programs.worker(prefix=("env", f"{CAP}=AVX2"))
        with Client(programs.address, timeout=60) as client:
            client.wait_for_workers(2, timeout=120)
        warnings, _ = run(slides, tmp_path / "out", cluster=programs.address)
    finally:
        programs.close()
    assert len(warnings) == 1
    assert "float32 on tcp://" in warnings[0]
    assert "int8 on tcp://" in warnings[0]
    assert "all compute in float32" in warnings[0]
    assert all(results(tmp_path / "out" / name) == results(in_float32 / name) for name in "ab")
