"""Which GPUs there are, and how many processes share one."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from pathopipe.errors import ConfigError

_PROCESS_BYTES = 3 * 2**30
"""Of a GPU's memory for each process that shares it: half a gigabyte for CUDA itself, and tiles of 2048 px on their way
through the network with much to spare."""
_MOST_PROCESSES = 8
"""That share a GPU, however large."""


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


def processes_per_gpu(cores: int) -> int:
    """Return how many worker processes are to share each GPU of this machine, so that it does not wait for them.

    A tile's pixels and outlines take a core many times as long as the network takes a GPU. While one process is at
    them, others have tiles for the GPU: one a core, as far as the memory of the smallest GPU goes.

    Parameters
    ----------
    cores : int
        That this machine has for each of its GPUs.
    """
    import torch

    smallest = min(torch.cuda.get_device_properties(index).total_memory for index in range(torch.cuda.device_count()))
    return max(1, min(cores, _MOST_PROCESSES, smallest // _PROCESS_BYTES))
