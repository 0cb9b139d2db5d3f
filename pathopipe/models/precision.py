"""Where convolutions run in bfloat16."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch

from pathopipe.errors import ConfigError

_CPU_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What Linux calls the instructions: on Intel and AMD, in Intel's tiles, on Arm."""


def takes_bf16(wanted: Literal["auto", "on", "off"], device: torch.device) -> bool:
    """Return whether convolutions run in bfloat16 on ``device``.

    Raises
    ------
    ConfigError
        If it is "on" and the processor has no instructions for it: emulated it would be slower than float32.
    """
    has = device.type == "cuda" or bool(_CPU_FLAGS & _cpu_flags())
    if wanted == "on" and not has:
        raise ConfigError("bf16: on, but this processor has no bfloat16 instructions; set bf16 to auto or off")
    return has and wanted != "off"


def _cpu_flags() -> frozenset[str]:
    """Return the processor's features as Linux lists them; none elsewhere."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    lines = (line.partition(":") for line in text.splitlines())
    return frozenset(
        flag for key, _, value in lines if key.strip().lower() in ("flags", "features") for flag in value.split()
    )
