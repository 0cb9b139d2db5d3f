"""Ids of what is written: the same slide and outline always give the same one, so QuPath knows a re-import."""

from __future__ import annotations

import hashlib
import uuid
from binascii import hexlify
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from pathopipe.annotations.valid import tenths
from pathopipe.geometry import Outlines

_SPACE = uuid.UUID("f2d5f6a2-7d4a-5b0e-9e0c-2a6c3f1f8d11").bytes
"""Namespace of all our ids."""
Keys = NDArray[np.uint64]


def uuid_of(identity: str, what: bytes) -> str:
    """Return the UUIDv5 of ``what`` on the slide of that ``identity``."""
    text: bytes = _text(np.frombuffer(_digest(_prefix(identity), what), np.uint8)[None])[0]
    return text.decode("ascii")


class CellIds:
    """Gives the cells of one slide their ids, some at a time: a UUIDv5 each, from slide and outline.

    Outlines that are the same are numbered in their order, so that no two ids are equal. Eight bytes a cell are kept.

    Parameters
    ----------
    identity : str
        The slide's.
    earlier : sequence of int
        Keys of cells that come before and got their ids elsewhere: those that come again, as often as they did.
    """

    def __init__(self, identity: str, earlier: Sequence[int] = ()) -> None:
        self._prefix = _prefix(identity)
        self._given = Counts()
        self._given.add(np.array(earlier, np.uint64))

    def of(self, outlines: Outlines) -> tuple[NDArray[np.bytes_], Keys]:
        """Return (n,) S36, the ids of further cells, and their keys: equal for cells whose outlines are."""
        if not len(outlines):
            return np.zeros(0, "S36"), np.zeros(0, np.uint64)
        rings, prefix = tenths(outlines.coords).astype("<i4"), self._prefix
        data, ends = rings.tobytes(), (outlines.offsets * rings.itemsize * 2).tolist()
        digests = bytearray(b"".join([_digest(prefix, data[start:end]) for start, end in pairwise(ends)]))
        keys = np.frombuffer(digests, np.uint64)[::2].copy()
        repeats = self._given.add(keys)
        for place in np.flatnonzero(repeats).tolist():
            name = data[ends[place] : ends[place + 1]] + b"#%d" % repeats[place]
            digests[16 * place : 16 * place + 16] = _digest(prefix, name)
        return _text(np.frombuffer(digests, np.uint8).reshape(-1, 16)), keys


class Counts:
    """How often each key was there before."""

    def __init__(self) -> None:
        self._runs: list[Keys] = []
        """Ascending each; each at least twice as long as the next, so that there are few, and adding one is cheap."""

    def add(self, keys: Keys) -> NDArray[np.int64]:
        """Return for each of ``keys`` how often it was added before; equal ones count in their order."""
        order = np.argsort(keys, kind="stable")
        run = keys[order]
        begins = np.searchsorted(run, run)
        before = np.empty(len(keys), np.int64)
        before[order] = np.arange(len(run)) - begins + self._held(run)
        while self._runs and len(self._runs[-1]) < 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        if len(run):
            self._runs.append(run)
        return before

    def earlier(self, keys: Keys) -> tuple[int, ...]:
        """Return those of ``keys`` that were added before, each as often as it was."""
        once = np.unique(keys)
        return tuple(np.repeat(once, self._held(once)).tolist())

    def _held(self, run: Keys) -> NDArray[np.int64]:
        """Return how often each of ``run`` (ascending) was added."""
        return sum((_count(each, run) for each in self._runs), np.zeros(len(run), np.int64))


def _count(run: Keys, keys: Keys) -> NDArray[np.int64]:
    """Return for each of ``keys`` how often it is in ``run``; both ascending."""
    first = np.searchsorted(run, keys)
    found = run[np.minimum(first, len(run) - 1)] == keys
    return np.where(found, np.searchsorted(run, keys, "right") - first, 0) if found.any() else np.zeros_like(first)


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
