"""configs/default.yaml is the documentation of the settings: it must say what is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pathopipe.config import Config, load_config
from pathopipe.engine.cluster import read_cluster_file

CONFIGS = Path(__file__).parents[2] / "configs"
DEFAULT = CONFIGS / "default.yaml"


def test_the_file_has_every_key_with_its_default():
    values = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    assert values == Config().model_dump(mode="json")


def test_sections_and_keys_come_in_the_order_of_the_code():
    values = yaml.safe_load(DEFAULT.read_text(encoding="utf-8"))
    wanted = Config().model_dump(mode="json")
    assert list(values) == list(wanted)
    for section, keys in wanted.items():
        assert list(values[section]) == list(keys)


def test_the_file_can_be_given_as_configuration():
    assert load_config(DEFAULT) == Config()


def test_every_key_has_a_comment():
    for line in DEFAULT.read_text(encoding="utf-8").splitlines():
        if re.match(r"\s*\w+:", line):
            assert re.search(r"#\s*\w", line), line


@pytest.mark.parametrize("path", sorted((CONFIGS / "clusters").glob("*.yaml")), ids=lambda path: path.name)
def test_cluster_files_are_read(path):
    read_cluster_file(path)
