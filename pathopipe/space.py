"""Room on the disk of the output folder: how much a slide needs, and how much there is."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from pathopipe.geometry import Box

STORED_BYTES_PER_PX = 2.0
"""zstd leaves about two of the three bytes of an RGB pixel of stained tissue."""
_RESULT_BYTES_PER_PX = 0.3
"""Instance files and layers, where the tissue is full of cells."""


def bytes_needed(cores: Sequence[Box], keep: bool) -> float:
    """Return about how much disk tiles take, with the results made of them.

    Parameters
    ----------
    cores : sequence of Box
        What the tiles that are not done answer for, in working pixels.
    keep : bool
        Whether their pixels are kept (``store.keep``).
    """
    return sum(core.area for core in cores) * (STORED_BYTES_PER_PX * keep + _RESULT_BYTES_PER_PX)


def bytes_free(folder: Path) -> int | None:
    """Return how much may be written below ``folder``, there already or not; None where the system does not say."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def shortage(cores: Sequence[Box], keep: bool, folder: Path) -> str | None:
    """Return in words what tiles with these cores need and what is free, or None where it is enough."""
    needed, free = bytes_needed(cores, keep), bytes_free(folder)
    if free is None or needed <= free:
        return None
    return f"{len(cores)} tiles that are left need about {_told(needed)}, and {_told(free)} are free"


def _told(size: float) -> str:
    """Return ``size`` bytes for a person to read, such as "3.1 GB"."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"
