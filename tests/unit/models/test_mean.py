"""The training recipe's script that takes the mean of several models' weights."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load, save

from pathopipe.models.card import read_model_file
from pathopipe.models.shipped import nuclei

SCRIPT = Path(__file__).parents[3] / "workflows" / "train-nuclei" / "mean.py"


def changed(path: Path, change) -> Path:
    """Write the shipped model to ``path``, its weights changed."""
    with safe_open(nuclei(), "np") as file:
        about = file.metadata()
    path.write_bytes(save(change(load(Path(nuclei()).read_bytes())), about))
    return path


def test_the_mean_is_a_model_with_the_card_of_the_first(tmp_path):
    main = runpy.run_path(str(SCRIPT))["main"]
    tripled = changed(tmp_path / "tripled.safetensors", lambda weights: {name: 3 * w for name, w in weights.items()})
    main(tmp_path / "mean.safetensors", [Path(nuclei()), tripled])
    first, mean = (load(path.read_bytes()) for path in (Path(nuclei()), tmp_path / "mean.safetensors"))
    assert all(np.allclose(mean[name], 2 * first[name]) for name in first)
    cards = [read_model_file(path).card for path in (Path(nuclei()), tmp_path / "mean.safetensors")]
    assert cards[0].version == cards[1].version
    assert cards[0].data == cards[1].data
    with safe_open(tmp_path / "mean.safetensors", "np") as file:
        assert "tripled.safetensors" in file.metadata()["pathopipe"]


def test_other_networks_are_refused(tmp_path):
    main = runpy.run_path(str(SCRIPT))["main"]
    other = changed(tmp_path / "other.safetensors", lambda weights: dict(list(weights.items())[:-1]))
    with pytest.raises(SystemExit, match="of the same network"):
        main(tmp_path / "mean.safetensors", [Path(nuclei()), other])
    assert not (tmp_path / "mean.safetensors").exists()
