"""Which DICOM files make up one slide: the few header fields that tell, without a DICOM library."""

from __future__ import annotations

import os
import struct
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from pathopipe.errors import SlideError

SERIES = (0x0020, 0x000E)
"""Series Instance UID: the same in all files of a slide."""
_LONG = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"))
_UNDEFINED = 0xFFFFFFFF
_IMPLICIT_LITTLE = "1.2.840.10008.1.2"
_EXPLICIT_BIG = "1.2.840.10008.1.2.2"


def is_dicom(path: Path) -> bool:
    """Return whether the file says that it is DICOM."""
    try:
        with path.open("rb") as stream:
            stream.seek(128)
            return stream.read(4) == b"DICM"
    except OSError:
        return False


def series(path: Path) -> str | None:
    """Return the file's Series Instance UID; None where it is no DICOM file or does not state one."""
    try:
        status = path.stat()
    except OSError:
        return None
    return _series(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=4096)
def _series(path: Path, size: int, modified_ns: int) -> str | None:  # noqa: ARG001 - they make the cache notice changes
    try:
        with path.open("rb") as stream:
            stream.seek(128)
            return _find_series(stream) if stream.read(4) == b"DICM" else None
    except (OSError, struct.error):
        return None


def siblings(path: Path) -> list[Path]:
    """Return the files of the same series beside ``path`` and itself, sorted."""
    own = series(path)
    if own is None:
        return [path]
    return [file for file in _files(path.parent) if series(file) == own]


def series_in(folder: Path) -> dict[str, list[Path]]:
    """Return Series Instance UID to the sorted files of the series, for the DICOM files right in ``folder``."""
    found: dict[str, list[Path]] = {}
    for file in _files(folder):
        uid = series(file)
        if uid is not None:
            found.setdefault(uid, []).append(file)
    return found


def any_file(folder: Path) -> Path:
    """Return a file of the one DICOM series in ``folder``: OpenSlide finds the others by itself.

    Raises
    ------
    SlideError
        If there is no DICOM series or more than one.
    """
    found = series_in(folder)
    if not found:
        raise SlideError("a folder without DICOM files")
    if len(found) > 1:
        first = ", ".join(files[0].name for files in found.values())
        raise SlideError(f"a folder with {len(found)} DICOM series; name a file of the one you mean ({first})")
    return next(iter(found.values()))[0]


def _files(folder: Path) -> list[Path]:
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries if entry.is_file() and not entry.name.startswith("."))
    return [folder / name for name in names]


def _find_series(stream: BinaryIO) -> str | None:
    """Walk the elements after the preamble up to the series' (PS3.5, chapter 7: sorted by tag, so never beyond it)."""
    order, explicit, syntax = "<", True, ""
    in_header = True
    while True:
        start = stream.tell()
        tag = struct.unpack(order + "HH", stream.read(4))
        if in_header and tag[0] != 2:
            # The file meta group is always explicit little endian; what follows is as its transfer syntax says.
            in_header, explicit = False, syntax != _IMPLICIT_LITTLE
            order = ">" if syntax == _EXPLICIT_BIG else "<"
            stream.seek(start)
            continue
        if tag > SERIES:
            return None
        length = _length(stream, order, explicit)
        if length == _UNDEFINED:
            _skip_sequence(stream, order, explicit)
            continue
        if tag in ((2, 0x10), SERIES):
            text = stream.read(length).rstrip(b"\0 ").decode("ascii", "replace")
            if tag == SERIES:
                return text or None
            syntax = text
        else:
            stream.seek(length, os.SEEK_CUR)


def _length(stream: BinaryIO, order: str, explicit: bool) -> int:
    if not explicit:
        return int(struct.unpack(order + "I", stream.read(4))[0])
    kind = stream.read(2)
    if kind in _LONG:
        return int(struct.unpack(order + "xxI", stream.read(6))[0])
    return int(struct.unpack(order + "H", stream.read(2))[0])


def _skip_sequence(stream: BinaryIO, order: str, explicit: bool) -> None:
    """Skip items up to the end of a sequence of undefined length, nested ones included."""
    while True:
        group, element = struct.unpack(order + "HH", stream.read(4))
        if group == 0xFFFE:
            length = struct.unpack(order + "I", stream.read(4))[0]
            if element == 0xE0DD:
                return
            if element == 0xE000 and length != _UNDEFINED:
                stream.seek(length, os.SEEK_CUR)
            # An item of undefined length is walked element by element; its end mark (E00D) needs nothing.
            continue
        length = _length(stream, order, explicit)
        if length == _UNDEFINED:
            _skip_sequence(stream, order, explicit)
        else:
            stream.seek(length, os.SEEK_CUR)
