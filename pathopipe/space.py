"""Room on the disk of the output folder: how much a slide needs, and how much there is."""

from __future__ import annotations

import shutil
from pathlib import Path

STORED_BYTES_PER_PX = 2.0
"""zstd leaves about two of the three bytes of an RGB pixel of stained tissue."""
_RESULT_BYTES_PER_PX = 0.3
"""Instance files and layers, where the tissue is full of cells."""


def bytes_needed(tiles: int, core_px: int, keep: bool) -> float:
    """Return about how much disk that many tiles take, with the results made of them.

    Parameters
    ----------
    tiles : int
        Tiles that are not done.
    core_px : int
        Side of what a tile answers for, in working pixels.
    keep : bool
        Whether their pixels are kept (``store.keep``).
    """
    return tiles * core_px**2 * (STORED_BYTES_PER_PX * keep + _RESULT_BYTES_PER_PX)


def bytes_free(folder: Path) -> int | None:
    """Return how much may be written below ``folder``, there already or not; None where the system does not say."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None


def shortage(tiles: int, core_px: int, keep: bool, folder: Path) -> str | None:
    """Return in words what that many tiles need and what is free, or None where it is enough."""
    needed, free = bytes_needed(tiles, core_px, keep), bytes_free(folder)
    if free is None or needed <= free:
        return None
    return f"{tiles} tiles that are left need about {_told(needed)}, and {_told(free)} are free"


def _told(size: float) -> str:
    """Return ``size`` bytes for a person to read, such as "3.1 GB"."""
    for unit, factor in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size / 1e3:.0f} kB"
