"""What the network computes in, as one word: cells differ slightly between two of them, so they must not be mixed.

``auto`` in the settings leaves it to the machine. A run settles what it means before a slide's first tile, and
gives its workers the settings that mean this word and no other (engine/crew.py, pipeline.py). Needs no torch.
"""

from __future__ import annotations

from typing import Literal

from pathopipe.models.base import ModelSpec
from pathopipe.models.device import visible_gpus
from pathopipe.models.precision import takes_bf16, takes_int8

Arithmetic = Literal["int8", "bf16", "float32", "cuda-bf16", "cuda-float32"]
"""What convolutions are computed in; on a CPU where no other device is named."""

_SETTINGS: dict[Arithmetic, dict[str, str]] = {
    "int8": {"device": "cpu", "int8": "on", "bf16": "off"},
    "bf16": {"device": "cpu", "int8": "off", "bf16": "on"},
    "float32": {"device": "cpu", "int8": "off", "bf16": "off"},
    "cuda-bf16": {"device": "cuda", "int8": "off", "bf16": "on"},
    "cuda-float32": {"device": "cuda", "int8": "off", "bf16": "off"},
}
"""The settings of ModelSpec that mean it on every machine."""


def offered(spec: ModelSpec) -> tuple[Arithmetic, ...]:
    """Return what this machine can compute in as ``spec`` wants it: the fastest first, then float32, which all have.

    Raises
    ------
    ConfigError
        If ``spec`` asks for what this machine does not have.
    """
    device: Literal["cpu", "cuda"] = "cuda" if visible_gpus(spec.device) else "cpu"
    int8, bf16 = takes_int8(spec.int8, spec.bf16, device), takes_bf16(spec.bf16, device)
    fastest: Arithmetic
    if device == "cuda":
        fastest = "cuda-bf16" if bf16 else "cuda-float32"
    else:
        fastest = "int8" if int8 else "bf16" if bf16 else "float32"
    plain: Arithmetic = "cuda-float32" if device == "cuda" else "float32"
    return (fastest, plain) if plain != fastest and plain in admitted(spec) else (fastest,)


def admitted(spec: ModelSpec) -> tuple[Arithmetic, ...]:
    """Return what ``spec`` leaves open to machines of all kinds; where the network runs does not matter for it."""
    wanted = {"int8": spec.int8, "bf16": spec.bf16}
    return tuple(
        word for word, means in _SETTINGS.items() if all(want in ("auto", means[key]) for key, want in wanted.items())
    )


def meaning(spec: ModelSpec, arithmetic: Arithmetic) -> ModelSpec:
    """Return ``spec`` so that it means ``arithmetic`` on every machine, or is refused there."""
    return spec.model_copy(update=_SETTINGS[arithmetic])
