"""configs/train: the list of all keys must say what is, and the recipes must be valid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pathopipe.cli.train import train_spec
from pathopipe.models.train.spec import TrainSpec

ROOT = Path(__file__).parents[2]
DEFAULT = ROOT / "configs" / "train" / "default.yaml"
RECIPES = sorted([*(ROOT / "configs" / "train").glob("*.yaml"), *(ROOT / "workflows").glob("train-*/*.yaml")])


def test_every_key_is_listed_in_order_with_its_default():
    values = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    wanted = TrainSpec().model_dump(mode="json")
    assert values == wanted
    assert list(values) == list(wanted)
    for section in ("net", "validation", "loss", "augment", "teaching"):
        assert list(values[section]) == list(wanted[section])


def test_every_key_has_a_comment():
    for line in DEFAULT.read_text(encoding="utf-8").splitlines():
        if re.match(r"\s*\w+:", line):
            assert re.search(r"#\s*\w", line), line


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recipes_are_valid(path):
    spec = train_spec(path, [], None)
    assert all(images.folder.parent.is_relative_to(path.parent) for images in spec.sets)


def test_settings_of_sections_are_given_with_a_dot(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("start: first.safetensors\nsets: [{folder: a}]\nvalidation: {every: 7}\n")
    spec = train_spec(config, ["validation.patience=3", "loss.dice=0.5", "iterations=9"], tmp_path / "o.safetensors")
    assert (spec.validation.every, spec.validation.patience, spec.loss.dice, spec.iterations) == (7, 3, 0.5, 9)
    assert spec.start == tmp_path / "first.safetensors"
    assert spec.sets[0].folder == tmp_path / "a"
    assert train_spec(config, ["start=nuclei"], None).start == Path("nuclei")


def test_teachers_that_are_files_are_looked_for_beside_the_config(tmp_path):
    config = tmp_path / "c.yaml"
    config.write_text("teaching: {models: [a.safetensors, nuclei], views: 2}\n")
    assert train_spec(config, [], None).teaching.models == (str(tmp_path / "a.safetensors"), "nuclei")
    given = train_spec(config, ["teaching.models=[b.safetensors, c.safetensors]"], None).teaching
    assert (given.models, given.views) == (("b.safetensors", "c.safetensors"), 2)
