"""The head of a DICOM file: what tells which slide it belongs to, and no pixels."""

from __future__ import annotations

import struct
from pathlib import Path

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"


def write_head(path: Path, series: str, syntax: str = EXPLICIT, nested: str = "9.9") -> Path:
    """Write a head with the Series Instance UID ``series``, after a sequence that holds the UID of another series."""
    explicit = syntax == EXPLICIT
    inner = _element((0x0020, 0x000E), b"UI", _uid(nested), explicit)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + inner + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
    ended = item + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    sequence = struct.pack("<HH", 0x0008, 0x1115) + (b"SQ\0\0" if explicit else b"") + struct.pack("<I", 0xFFFFFFFF)
    meta = _element((2, 0x10), b"UI", _uid(syntax), True)
    body = sequence + ended + _element((0x0020, 0x000E), b"UI", _uid(series), explicit)
    path.write_bytes(bytes(128) + b"DICM" + meta + body)
    return path


def _uid(text: str) -> bytes:
    data = text.encode()
    return data + b"\0" * (len(data) % 2)


def _element(tag: tuple[int, int], kind: bytes, value: bytes, explicit: bool) -> bytes:
    length = kind + struct.pack("<H", len(value)) if explicit else struct.pack("<I", len(value))
    return struct.pack("<HH", *tag) + length + value
