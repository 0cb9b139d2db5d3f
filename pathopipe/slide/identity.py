"""Which slide is this? A digest that a copy or a new name keeps and other content changes, without a full read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol


class Stream(Protocol):
    """What is read of a file: enough for tifffile's own handles too."""

    def seek(self, offset: int, /) -> int:
        """Go to ``offset`` bytes from the start."""
        ...

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes."""
        ...


BLOCK = 64 * 1024
"""Bytes read at the start, the middle and the end of a file."""
MOST_LISTED = 20_000
"""Files of a folder whose sizes are listed, so that a Zarr of a million chunks is identified in a moment too."""


def of_stream(stream: Stream, size: int) -> str:
    """Return the digest of an open file of ``size`` bytes: 32 hexadecimal digits."""
    digest = hashlib.sha256(f"{size}\n".encode())
    for start in sorted({0, max(0, size // 2 - BLOCK // 2), max(0, size - BLOCK)}):
        stream.seek(start)
        digest.update(stream.read(BLOCK))
    return digest.hexdigest()[:32]


def of_file(path: Path) -> str:
    """Return the digest of one file."""
    with path.open("rb") as stream:
        return of_stream(stream, path.stat().st_size)


def of_files(paths: Iterable[Path]) -> str:
    """Return the digest of a slide of several files, whatever their names (a DICOM series)."""
    return _joined(sorted(of_file(path) for path in paths))


def of_folder(folder: Path, metadata: Iterable[Path]) -> str:
    """Return the digest of a slide kept as a folder: names and sizes inside it, and the ``metadata`` files' bytes."""
    listing = [f"{size} {name}" for name, size in _listed(folder)]
    return _joined(listing + [of_file(path) for path in sorted(metadata) if path.is_file()])


def of_parts(parts: Iterable[str]) -> str:
    """Return the digest of texts in their order."""
    return _joined(list(parts))


def modified(slide: str) -> int | None:
    """Return when any file of the slide was last written, in ns; None for a URL, or if it cannot be seen.

    It says nothing of what is in the files, and is only ever compared with what it was before.
    """
    if "://" in slide:
        return None
    path, times = Path(slide), []
    try:
        times.append(path.stat().st_mtime_ns)
        folder = path.with_suffix("") if path.suffix.lower() == ".mrxs" else path
        if folder.is_dir():
            times += [(folder / name).stat().st_mtime_ns for name, _ in _listed(folder)]
    except OSError:
        return None
    return max(times)


def _joined(lines: list[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _listed(folder: Path) -> list[tuple[str, int]]:
    """Return (relative name, size) of the first files inside, folder by folder in the order of their names."""
    found: list[tuple[str, int]] = []
    pending = [""]
    while pending and len(found) < MOST_LISTED:
        here = pending.pop()
        with os.scandir(folder / here) as entries:
            inside = sorted(entries, key=lambda entry: entry.name)
        found += [(here + entry.name, entry.stat().st_size) for entry in inside if entry.is_file()]
        pending += [f"{here}{entry.name}/" for entry in reversed(inside) if entry.is_dir()]
    return found[:MOST_LISTED]
