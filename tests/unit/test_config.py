"""The configuration: defaults, a file, --set, and the command line's own options, in this order."""

from __future__ import annotations

import pytest

from pathopipe.config import Config, load_config
from pathopipe.errors import ConfigError


def test_later_sources_outrank_earlier_ones(tmp_path):
    file = tmp_path / "config.yaml"
    file.write_text("grid:\n  tile_px: 512\n  halo_px: 32\nengine:\n  workers: 3\n")
    config = load_config(file, ["grid.halo_px=48"], engine={"workers": 5, "cluster": None})
    assert (config.grid.tile_px, config.grid.halo_px) == (512, 48)
    assert (config.engine.workers, config.engine.cluster) == (5, "local")


def test_an_empty_file_and_empty_sections_are_the_defaults(tmp_path):
    (tmp_path / "empty.yaml").write_text("")
    (tmp_path / "sections.yaml").write_text("grid:\nstore:\n")
    assert load_config(tmp_path / "empty.yaml") == load_config(tmp_path / "sections.yaml") == Config()


def test_values_are_read_as_yaml():
    assert load_config(settings=["store.keep=false"]).store.keep is False
    assert load_config(settings=["grid.halo_px=null"]).grid.halo_px is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("grid: [1, 2]", "needs keys below it"),
        ("- grid", "expected sections"),
        ("grid: {tile_px: 10}", "grid.tile_px"),
        ("grid: {tile: 10}", "no such key; grid has: tile_px, halo_px"),
        ("girds: {tile_px: 10}", "no section 'girds'; there are: slide, tissue, artefacts, grid"),
        ("grid: {tile_px: [", "not YAML"),
        ("grid: !!python/object/apply:os.system [id]", "not YAML"),
    ],
)
def test_a_wrong_file_is_told(tmp_path, text, complaint):
    file = tmp_path / "config.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=complaint.replace("'", ".")):
        load_config(file)


def test_a_config_is_frozen_and_picklable():
    import pickle

    config = Config()
    assert pickle.loads(pickle.dumps(config)) == config
    with pytest.raises(ValueError):
        config.grid = None
