"""Model files that would run code or fill the memory are refused."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.errors import ModelError, PathopipeError
from pathopipe.models.base import ModelSpec
from pathopipe.models.card import read_model_file
from pathopipe.models.load import load_card, load_predictor
from pathopipe.models.shipped import nuclei


def model_of(header: object, data: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + data


def shipped() -> tuple[dict, bytes]:
    content = Path(nuclei()).read_bytes()
    length = struct.unpack_from("<Q", content)[0]
    return json.loads(content[8 : 8 + length]), content[8 + length :]


class Burglar:
    def __reduce__(self):
        return (open, ("/nonexistent/burgled", "w"))


@pytest.mark.parametrize("suffix", [".pt", ".PTH", ".pkl", ".ckpt", ".bin", ".joblib", ".h5"])
@pytest.mark.parametrize("where", ["relative", "absolute"])
def test_files_that_may_hold_code_are_not_opened(tmp_path, monkeypatch, suffix, where):
    monkeypatch.chdir(tmp_path)
    (tmp_path / f"m{suffix}").write_bytes(pickle.dumps(Burglar()))
    name = f"m{suffix}" if where == "relative" else str(tmp_path / f"m{suffix}")
    with pytest.raises(ModelError, match=r"is not opened: .* can hold program code.*safetensors"):
        load_card(ModelSpec(name=name))


def test_a_pickle_under_the_name_of_a_model_is_not_unpacked(tmp_path):
    path = tmp_path / "m.safetensors"
    path.write_bytes(pickle.dumps(Burglar()))
    with pytest.raises(ModelError, match="is not a model that pathopipe wrote"):
        load_card(ModelSpec(name=str(path)))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        struct.pack("<Q", 1 << 60) + b"{}",
        struct.pack("<Q", 40_000_000) + b"{}",
        model_of([]),
        model_of({"w": 5}),
        model_of({"w": {"data_offsets": [0]}}),
        model_of({"w": {"data_offsets": [0, 1 << 60]}}),
        model_of({"__metadata__": {"pathopipe": "5"}}),
        model_of({"__metadata__": {"pathopipe": "[" * 100_000}}),
        model_of({"__metadata__": {"pathopipe": "9" * 5000}}),
        model_of({"__metadata__": [1]}),
        struct.pack("<Q", 100_000) + b"[" * 100_000,
    ],
)
def test_damaged_headers_are_told(tmp_path, content):
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="is not a model that pathopipe wrote"):
        read_model_file(path)


def test_a_giant_file_is_not_read(tmp_path):
    path = tmp_path / "m.safetensors"
    with open(path, "wb") as file:
        file.truncate(1 << 40)  # holes alone: it takes no room
    with pytest.raises(ModelError, match="no model of pathopipe more than 1,000,000,000"):
        read_model_file(path)


@pytest.mark.parametrize("net", [{"widths": [4096, 4096, 4096], "blocks": [64, 64, 64]}, {"widths": [16, 32, 10**9]}])
def test_a_card_that_asks_for_a_giant_network_is_refused_before_it_is_made(tmp_path, net):
    header, data = shipped()
    values = json.loads(header["__metadata__"]["pathopipe"])
    values["net"] |= net
    header["__metadata__"]["pathopipe"] = json.dumps(values)
    path = tmp_path / "m.safetensors"
    path.write_bytes(model_of(header, data))
    with pytest.raises(ModelError, match="weights"):
        load_predictor(ModelSpec(name=str(path), device="cpu"))


@settings(max_examples=60, deadline=None)
@given(
    changes=st.lists(st.tuples(st.integers(0, 6000), st.integers(0, 255)), min_size=1, max_size=8),
    end=st.integers(0, 8000) | st.none(),
)
def test_whatever_the_header_it_is_read_or_told(tmp_path_factory, changes, end):
    content = bytearray(Path(nuclei()).read_bytes())
    for place, value in changes:
        content[place] = value
    path = tmp_path_factory.getbasetemp() / "fuzzed.safetensors"
    path.write_bytes(content[:end])
    try:
        card = load_card(ModelSpec(name=str(path)))
    except PathopipeError as error:
        assert str(error)  # noqa: PT017
    else:
        assert card.name
