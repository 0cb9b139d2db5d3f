"""Which GPUs there are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pathopipe.errors import ConfigError


def visible_gpus(device: Literal["auto", "cpu", "cuda"]) -> tuple[str, ...]:
    """Return the GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; none for "cpu".

    Raises
    ------
    ConfigError
        If ``device`` is "cuda" and torch finds no GPU.
    """
    # The device files first: importing torch takes seconds, and most machines have no GPU.
    if device == "cpu" or (device == "auto" and not any(Path("/dev").glob("nvidia[0-9]*"))):
        return ()
    import torch

    if not torch.cuda.is_available():
        if device == "cuda":
            raise ConfigError(
                f"--device cuda: torch {torch.__version__} finds no GPU here (a CPU build, or no driver?)"
            )
        return ()
    named = os.environ.get("CUDA_VISIBLE_DEVICES")
    numbers = [str(index) for index in range(torch.cuda.device_count())]
    return tuple(named.split(",")[: len(numbers)]) if named else tuple(numbers)
