"""Ids of what is written: the same slide and outline always give the same one, so QuPath knows a re-import."""

from __future__ import annotations

import hashlib
import uuid
from binascii import hexlify
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pathopipe.annotations.valid import tenths
from pathopipe.geometry import Outlines

_SPACE = uuid.UUID("f2d5f6a2-7d4a-5b0e-9e0c-2a6c3f1f8d11").bytes
"""Namespace of all our ids."""


def uuid_of(identity: str, what: bytes) -> str:
    """Return the UUIDv5 of ``what`` on the slide of that ``identity``."""
    text: bytes = _text(np.frombuffer(_digest(_prefix(identity), what), np.uint8)[None])[0]
    return text.decode("ascii")


def cell_ids(identity: str, outlines: Outlines) -> NDArray[np.bytes_]:
    """Return (n,) S36: a UUIDv5 for each outline, from the slide's identity and the outline's vertices.

    Outlines that are the same are numbered in their order, so that no two ids are equal.
    """
    if not len(outlines):
        return np.zeros(0, "S36")
    prefix, rings = _prefix(identity), tenths(outlines.coords).astype("<i4")
    data, ends = rings.tobytes(), (outlines.offsets * rings.itemsize * 2).tolist()
    digests = np.array([_digest(prefix, data[start:end]) for start, end in pairwise(ends)], "S16")
    for place, repeats in _repeats(digests):
        digests[place] = _digest(prefix, data[ends[place] : ends[place + 1]] + b"#%d" % repeats)
    return _text(digests.view(np.uint8).reshape(-1, 16))


def _repeats(values: NDArray[np.bytes_]) -> Iterator[tuple[int, int]]:
    """Yield (place, number) of every value that was there before: the second is number 1."""
    _, first, counts = np.unique(values, return_index=True, return_counts=True)
    for place in first[counts > 1]:
        for number, repeat in enumerate(np.flatnonzero(values == values[place])[1:].tolist(), 1):
            yield repeat, number


def _prefix(identity: str) -> bytes:
    return _SPACE + identity.encode("utf-8") + b"/"


def _digest(prefix: bytes, name: bytes) -> bytes:
    return hashlib.sha1(prefix + name, usedforsecurity=False).digest()[:16]


def _text(digests: NDArray[np.uint8]) -> NDArray[np.bytes_]:
    """Return (n, 16) digests as the text of version 5 UUIDs (RFC 9562, section 5.5)."""
    marked = digests.copy()
    marked[:, 6] = (marked[:, 6] & 0x0F) | 0x50
    marked[:, 8] = (marked[:, 8] & 0x3F) | 0x80
    digits = np.frombuffer(hexlify(marked.tobytes()), "S1").reshape(-1, 32)
    text = np.full((len(marked), 36), b"-", "S1")
    text[:, [column for column in range(36) if column not in (8, 13, 18, 23)]] = digits
    return text.view("S36")[:, 0]
