"""Where convolutions run in bfloat16, and where in 8-bit integers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pathopipe.errors import ConfigError

_CPU_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""What Linux calls the instructions: on Intel and AMD, in Intel's tiles, on Arm."""
_INT8_FLAGS = frozenset({"avx512_vnni", "avx_vnni", "amx_int8"})
"""The same for products of bytes that are summed in 32 bits: without them sums would saturate at 16."""
_CAPPED: dict[str, frozenset[str]] = {
    **dict.fromkeys(("SSE41", "AVX", "AVX2", "AVX512_CORE"), frozenset[str]()),
    **dict.fromkeys(("AVX2_VNNI", "AVX2_VNNI_2"), frozenset({"avx_vnni"})),
    "AVX512_CORE_VNNI": frozenset({"avx512_vnni", "avx_vnni"}),
    **dict.fromkeys(("AVX512_CORE_BF16", "AVX512_CORE_FP16"), frozenset({"avx512_vnni", "avx_vnni", "avx512_bf16"})),
}
"""What is left of them where the user keeps oneDNN to older instructions."""
_CAPS = ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA")
"""How, by oneDNN's documentation ("CPU Dispatcher Control"): environment variables, the second its older name."""
_Wanted = Literal["auto", "on", "off"]
_Device = Literal["cpu", "cuda"]


def takes_bf16(wanted: _Wanted, device: _Device) -> bool:
    """Return whether convolutions run in bfloat16 on ``device``.

    Raises
    ------
    ConfigError
        If it is "on" and the processor has no instructions for it: emulated it would be slower than float32.
    """
    has = device == "cuda" or bool(_CPU_FLAGS & _cpu_flags())
    if wanted == "on" and not has:
        raise ConfigError("bf16: on, but this processor has no bfloat16 instructions; set bf16 to auto or off")
    return has and wanted != "off"


def takes_int8(wanted: _Wanted, bf16: _Wanted, device: _Device) -> bool:
    """Return whether convolutions run in 8-bit integers on ``device``, where bfloat16 is wanted as ``bf16`` says.

    Raises
    ------
    ConfigError
        If it is "on" and cannot be, or bfloat16 is "on" too.
    """
    if wanted == "on" and bf16 == "on":
        raise ConfigError("int8: on and bf16: on exclude each other; set one of them to auto or off")
    has = device == "cpu" and bool(_INT8_FLAGS & _cpu_flags())
    if wanted == "on" and not has:
        place = "this processor has no instructions for it" if device == "cpu" else "the model runs on a GPU"
        raise ConfigError(f"int8: on, but {place}; set int8 to auto or off")
    return has and wanted != "off" and bf16 != "on"


def _cpu_flags() -> frozenset[str]:
    """Return the processor's features as Linux lists them, without those that oneDNN is told not to use."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return frozenset()
    lines = (line.partition(":") for line in text.splitlines())
    flags = frozenset(
        flag for key, _, value in lines if key.strip().lower() in ("flags", "features") for flag in value.split()
    )
    cap = next((os.environ[name] for name in _CAPS if name in os.environ), "").upper()
    return flags & _CAPPED[cap] if cap in _CAPPED else flags
