"""What a worker lacks is found out and told before it gets a tile."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from pathopipe.engine import fitness
from pathopipe.engine import needs as needed
from pathopipe.engine.accord import agreed, slowed
from pathopipe.engine.fitness import complaints, told
from pathopipe.engine.needs import Needs, probe, versions
from pathopipe.errors import ClusterError
from pathopipe.models import precision
from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_card


@pytest.fixture
def needs(tmp_path, monkeypatch):
    monkeypatch.setattr(fitness, "_PATIENCE_S", 0.0)
    (tmp_path / "a.svs").write_bytes(b"123")
    (tmp_path / "b.zarr").mkdir()
    slides = [str(tmp_path / "a.svs"), str(tmp_path / "b.zarr"), str(tmp_path / "gone.svs"), "s3://bucket/c.svs"]
    with probe(tmp_path) as run:
        yield Needs.of(run, slides, tmp_path, ModelSpec(), load_card(ModelSpec()).sha256)


def test_who_has_and_sees_all_is_fit_and_leaves_nothing_behind(needs, tmp_path):
    assert [path for path, _ in needs.slides] == [str(tmp_path / "a.svs"), str(tmp_path / "b.zarr")]  # what is there
    assert complaints(needs) == ()
    assert sorted(path.name for path in tmp_path.iterdir()) == [f".probe-{needs.run}", "a.svs", "b.zarr"]


def test_a_slide_that_is_missing_unreadable_or_another_is_told(needs, tmp_path):
    (tmp_path / "a.svs").write_bytes(b"1234")
    assert "another file: 4 bytes, not 3" in complaints(needs)[0]
    (tmp_path / "a.svs").unlink()
    (tmp_path / "b.zarr").rmdir()
    (told_of,) = complaints(needs)
    assert "a.svs (not there) and 1 more of 2" in told_of


def test_an_output_folder_that_is_not_the_same_is_told(needs, tmp_path):
    assert "does not see the output folder" in complaints(replace(needs, out=tmp_path / "b.zarr"))[0]
    (tmp_path / f".probe-{needs.run}").write_text("another")
    assert "another output folder" in complaints(needs)[0]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_output_folder_that_may_not_be_written_to_is_told(needs, tmp_path):
    tmp_path.chmod(0o500)
    assert "cannot write" in complaints(needs)[0]
    tmp_path.chmod(0o700)


def test_another_model_and_a_missing_one_are_told(needs):
    assert "another model" in complaints(replace(needs, sha256="0"))[0]
    (missing,) = complaints(replace(needs, model=ModelSpec(name="/nowhere/own.safetensors")))
    assert "/nowhere/own.safetensors" in missing


def test_other_versions_are_told_with_both(needs):
    others = tuple((name, "0.1" if name in ("pathopipe", "numpy") else value) for name, value in needs.versions)
    own, numpy = complaints(replace(needs, versions=others))
    assert own.startswith("has pathopipe ")
    assert own.endswith("others have 0.1: install the same")
    assert numpy.startswith("has numpy ")


def test_the_code_itself_is_part_of_the_version():
    assert "(code " in (dict(versions())["pathopipe"] or "")


def test_of_very_many_slides_some_are_looked_at(tmp_path, monkeypatch):
    monkeypatch.setattr(needed, "_MOST_SLIDES", 3)
    for number in range(10):
        (tmp_path / f"{number}.svs").touch()
    needs = Needs.of("run", [str(tmp_path / f"{number}.svs") for number in range(10)], tmp_path, ModelSpec(), "")
    assert len(needs.slides) == 3


def test_the_error_names_the_workers():
    error = told({f"tcp://10.0.0.{number}:1": ("lacks this", "lacks that") for number in range(9)}, 12)
    assert "9 of 12 workers" in str(error)
    assert "worker tcp://10.0.0.3:1 lacks this; lacks that" in str(error)
    assert "and 1 more" in str(error)


def test_a_processor_that_cannot_compute_as_the_others_do_is_told_with_the_cure(needs, monkeypatch):
    monkeypatch.setattr(precision, "_cpu_flags", frozenset)
    assert complaints(replace(needs, arithmetic="float32")) == ()
    (told_of,) = complaints(replace(needs, arithmetic="int8"))
    assert told_of.startswith("cannot compute in int8 as the others do: give --set model.int8=off")
    (told_of,) = complaints(replace(needs, arithmetic="cuda-bf16"))
    assert "where there is a GPU, or give --device cpu" in told_of
    (told_of,) = complaints(replace(needs, model=ModelSpec(int8="on")))
    assert "this processor has no instructions for it" in told_of


def test_workers_meet_in_what_all_can_compute_in():
    alike = {"a": ("int8", "float32"), "b": ("int8", "float32")}
    assert agreed(alike) == ("int8", "float32")
    assert slowed(alike) is None
    mixed = alike | {"c": ("float32",)}
    assert agreed(mixed) == ("float32",)
    assert "(float32 on c; int8 on a, b): all compute in float32;" in slowed(mixed)
    assert "int8 on w0, w1, w2 and 6 more" in slowed(
        {f"w{n}": ("int8", "float32") for n in range(9)} | mixed | {"a": mixed["c"], "b": mixed["c"]}
    )
    assert "bf16 on arm" in slowed({"arm": ("bf16", "float32"), "x": ("int8", "float32")})
    assert agreed({}) == ()
    assert slowed({}) is None


def test_gpus_and_processors_are_not_mixed():
    with pytest.raises(ClusterError, match=r"cuda-bf16 on g.*int8 on a.*--device cpu.*gpu: true"):
        agreed({"a": ("int8", "float32"), "g": ("cuda-bf16", "cuda-float32")})
