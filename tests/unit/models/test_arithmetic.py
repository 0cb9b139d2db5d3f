"""One word for what a network computes in: what settings leave open, what a machine has, and that it can be settled."""

from __future__ import annotations

import pytest

from pathopipe.errors import ConfigError
from pathopipe.models import arithmetic, precision
from pathopipe.models.arithmetic import admitted, meaning, offered
from pathopipe.models.base import ModelSpec

ICE_LAKE, SAPPHIRE_RAPIDS, ARM, OLD = (
    {"avx512_vnni"},
    {"avx512_vnni", "avx512_bf16", "amx_int8", "amx_bf16"},
    {"bf16"},
    {"avx2"},
)


@pytest.fixture
def machine(monkeypatch):
    """Make this machine one of other features, and with or without a GPU."""

    def become(flags, gpu=False):
        monkeypatch.setattr(precision, "_cpu_flags", lambda: frozenset(flags))
        monkeypatch.setattr(arithmetic, "visible_gpus", lambda device: ("0",) if gpu and device != "cpu" else ())

    return become


@pytest.mark.parametrize(
    ("flags", "gpu", "settings", "words"),
    [
        (ICE_LAKE, False, {}, ("int8", "float32")),
        (SAPPHIRE_RAPIDS, False, {}, ("int8", "float32")),  # not bf16: with another machine it meets in float32
        (ARM, False, {}, ("bf16", "float32")),
        (OLD, False, {}, ("float32",)),
        (ICE_LAKE, False, {"int8": "off"}, ("float32",)),
        (SAPPHIRE_RAPIDS, False, {"int8": "off"}, ("bf16", "float32")),
        (SAPPHIRE_RAPIDS, False, {"int8": "on"}, ("int8",)),
        (SAPPHIRE_RAPIDS, False, {"bf16": "on"}, ("bf16",)),
        (OLD, True, {}, ("cuda-bf16", "cuda-float32")),
        (OLD, True, {"bf16": "off"}, ("cuda-float32",)),
        (ICE_LAKE, True, {"device": "cpu"}, ("int8", "float32")),
    ],
)
def test_a_machine_offers_its_fastest_and_then_what_all_have(machine, flags, gpu, settings, words):
    machine(flags, gpu)
    spec = ModelSpec(**settings)
    assert offered(spec) == words
    assert set(words) <= set(admitted(spec))
    for word in words:  # it means that and nothing else
        assert offered(meaning(spec, word)) == (word,)
        assert word in admitted(meaning(spec, word))


def test_what_is_pinned_is_refused_where_it_is_not_to_be_had(machine):
    machine(OLD)
    with pytest.raises(ConfigError, match="this processor has no instructions"):
        offered(meaning(ModelSpec(), "int8"))
    with pytest.raises(ConfigError, match="no bfloat16 instructions"):
        offered(meaning(ModelSpec(), "bf16"))


def test_settings_leave_open_what_they_do_not_name():
    assert admitted(ModelSpec()) == ("int8", "bf16", "float32", "cuda-bf16", "cuda-float32")
    assert admitted(ModelSpec(int8="off", bf16="off")) == ("float32", "cuda-float32")
    assert admitted(ModelSpec(int8="on")) == ("int8",)
    assert admitted(ModelSpec(bf16="on", device="cuda")) == ("bf16", "cuda-bf16")


@pytest.mark.parametrize(
    ("variable", "cap", "left"),
    [
        ("ONEDNN_MAX_CPU_ISA", "AVX2", set()),
        ("DNNL_MAX_CPU_ISA", "avx512_core", set()),
        ("ONEDNN_MAX_CPU_ISA", "AVX2_VNNI", {"avx_vnni"}),
        ("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_VNNI", {"avx512_vnni", "avx_vnni"}),
        ("ONEDNN_MAX_CPU_ISA", "AVX512_CORE_BF16", {"avx512_vnni", "avx_vnni", "avx512_bf16"}),
        ("ONEDNN_MAX_CPU_ISA", "ALL", {"avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8"}),
    ],
)
def test_instructions_that_onednn_must_not_use_are_not_there(monkeypatch, variable, cap, left):
    """Its products of bytes saturate without them, and nothing would tell."""
    all_of_them = "flags : fpu avx512_vnni avx_vnni avx512_bf16 amx_int8"
    monkeypatch.setattr(precision.Path, "read_text", lambda path, encoding: all_of_them)
    monkeypatch.setenv(variable, cap)
    assert precision._cpu_flags() - {"fpu"} == left
