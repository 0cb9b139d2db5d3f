"""Model files: good ones load, others are refused with a cure."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from pathopipe.errors import ConfigError, ModelError
from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_card, load_predictor
from pathopipe.models.network import NetSpec, StarNet
from pathopipe.models.train.spec import TrainSpec
from pathopipe.models.train.write import write_model


@pytest.fixture
def model(tmp_path):
    torch.manual_seed(0)
    spec = TrainSpec(out=tmp_path / "m.safetensors", net=NetSpec(widths=(8, 8, 8), head=8), class_name="Cell")
    return write_model(spec, StarNet(spec.net), 1)


def test_card_tells_what_was_written(model):
    card = load_card(ModelSpec(name=str(model)))
    assert card.sha256 == hashlib.sha256(model.read_bytes()).hexdigest()
    assert card.classes == ("Cell",)
    assert card.halo_px % card.stride_px == 0
    assert card.max_diameter_um / card.mpp <= card.halo_px


def test_predictor_of_a_file_predicts(model):
    predictor = load_predictor(ModelSpec(name=str(model), device="cpu"))
    found = predictor.predict(np.full((2, 64, 96, 3), 255, np.uint8))
    assert len(found) == 2
    assert found[0].classes == ("Cell",)


@pytest.mark.parametrize("shape", [(1, 60, 64, 3), (64, 64, 3), (1, 64, 64, 4)])
def test_tiles_of_the_wrong_shape_are_refused(model, shape):
    predictor = load_predictor(ModelSpec(name=str(model), device="cpu"))
    with pytest.raises(ValueError, match="tiles"):
        predictor.predict(np.zeros(shape, np.uint8))


def _garble(content):
    return content[:8] + b"x" * (len(content) - 8)


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: content[:-100], id="cut off"),
        pytest.param(lambda content: content[:100], id="cut off in the header"),
        pytest.param(_garble, id="garbled"),
        pytest.param(lambda content: content.replace(b"pathopipe", b"otherpipe"), id="foreign"),
        pytest.param(lambda content: b"PK\x03\x04" + content, id="another format"),
        pytest.param(lambda content: content.replace(b'\\"mpp\\": 0.5', b'\\"mpp\\": \\"a\\"'[:12]), id="wrong type"),
    ],
)
def test_what_is_no_model_is_refused_with_the_cure(model, broken):
    model.write_bytes(broken(model.read_bytes()))
    with pytest.raises(ModelError, match=r"m\.safetensors is not a model that pathopipe wrote .*pathopipe train"):
        load_card(ModelSpec(name=str(model)))


def test_a_newer_format_says_so(model):
    model.write_bytes(model.read_bytes().replace(b'\\"format\\": 1', b'\\"format\\": 9'))
    with pytest.raises(ModelError, match="model format 9"):
        load_card(ModelSpec(name=str(model)))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"none\.safetensors"):
        load_card(ModelSpec(name=str(tmp_path / "none.safetensors")))


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(ConfigError, match="nuclei"):
        load_card(ModelSpec(name="brains"))
