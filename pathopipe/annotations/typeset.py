"""Cells as the text of GeoJSON features, some hundred at a time.

Each piece of the text is laid out for all of them at once, in words of eight bytes, with NULs where a cell has no
digit; these are taken out at the end. Per cell Python has three pieces to cut and nothing to print.
"""

from __future__ import annotations

from itertools import chain, pairwise

import numpy as np
import orjson
from numpy.typing import NDArray

from pathopipe.annotations.cells import CellTable
from pathopipe.annotations.colours import classification
from pathopipe.annotations.decimals import Words, thousandths, vertices, without_comma, without_first, words_of
from pathopipe.annotations.measure import LABELS
from pathopipe.annotations.palette import palette
from pathopipe.annotations.valid import tenths

SEPARATOR = b",\n"


def features(table: CellTable, shift: NDArray[np.integer]) -> bytes:
    """Return the cells of ``table``, at least one, as features of JSON, a line each, with a comma between two.

    Parameters
    ----------
    table : CellTable
        Some hundred cells are fastest: what is made of them stays in the CPU's cache.
    shift : (2,)
        Tenths of a pixel, level 0: where coordinates count from.

    Raises
    ------
    GeoJSONError
        If a coordinate is ten million pixels or more.
    """
    outlines, number = table.cells.outlines, len(table)
    rings = vertices(tenths(outlines.coords) - shift)
    closing = rings[outlines.offsets[:-1]]
    closing[:, -1] = without_comma(closing[:, -1])
    before = _side_by_side(
        number,
        words_of(b'{"type":"Feature","id":"'),
        _ids(table.ids),
        words_of(b'","geometry":{"type":"Polygon","coordinates":[['),
    )
    after = _side_by_side(
        number,
        closing,
        words_of(b']]},"properties":{"objectType":"detection","classification":'),
        _classes(table),
        words_of(b',"measurements":{'),
        _measured(table),
        words_of(b"}}}" + SEPARATOR),
    )
    pieces = zip(_rows(before), _cut(rings, outlines.offsets), _rows(after), strict=True)
    return b"".join(chain.from_iterable(pieces)).translate(None, b"\0")[: -len(SEPARATOR)]


def _rows(words: Words) -> list[bytes]:
    return _cut(words, np.arange(len(words) + 1))


def _cut(words: Words, offsets: NDArray[np.int64]) -> list[bytes]:
    """Return the bytes of (m, k) words, cut before the rows ``offsets``."""
    text, places = words.tobytes(), (offsets * (words.itemsize * words.shape[1])).tolist()
    return [text[start:end] for start, end in pairwise(places)]


def _side_by_side(number: int, *parts: Words) -> Words:
    """Return (number, k) words: each of ``parts`` (k,), the same for all, or (number, k)."""
    width = sum(part.shape[-1] for part in parts)
    rows, start = np.empty((number, width), np.uint64), 0
    for part in parts:
        rows[:, start : start + part.shape[-1]] = part
        start += part.shape[-1]
    return rows


def _ids(ids: NDArray[np.bytes_]) -> Words:
    return _as_words(ids.astype(f"S{-(-ids.itemsize // 8) * 8}"))


def _classes(table: CellTable) -> Words:
    colours = palette(table.cells.classes)
    texts = [orjson.dumps({**classification(name), "color": colours[name]}) for name in table.cells.classes]
    return _as_words(np.array(texts, f"S{-(-max(map(len, texts)) // 8) * 8}"))[table.cells.class_id]


def _as_words(texts: NDArray[np.bytes_]) -> Words:
    return np.ascontiguousarray(texts).view(np.uint64).reshape(len(texts), -1)


def _measured(table: CellTable) -> Words:
    """Return the measurements of each cell without braces; what could not be measured is absent."""
    labels = [b"," + orjson.dumps(LABELS.get(name, name)) + b":" for name in table.columns]
    values = np.stack(list(table.columns.values()), axis=1)
    named = _as_words(np.array(labels, f"S{-(-max(map(len, labels)) // 8) * 8}"))
    numbers = thousandths(values.ravel()).reshape(*values.shape, -1)
    rows = np.concatenate([np.broadcast_to(named, (*values.shape, named.shape[1])), numbers], axis=2)
    present = np.isfinite(values)
    rows[~present] = 0
    first = np.arange(len(table)), present.argmax(axis=1)
    rows[(*first, 0)] = without_first(rows[(*first, 0)])
    return rows.reshape(len(table), -1)
