"""Numbers as text, by table: the floating-point printing of a million outlines takes longer than all else.

Text is laid out in words of eight bytes, with NUL wherever a number has no digit; NULs are taken out of the whole text
at the end (see :mod:`pathopipe.annotations.typeset`).
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import orjson
from numpy.typing import NDArray

from pathopipe.errors import GeoJSONError

Words = NDArray[np.uint64]
"""Text, eight bytes each, in the order of memory."""

_LOW = 10_000
"""A number is split by this: four digits before, and the others behind."""
WHOLE = range(_LOW)


def words_of(text: bytes) -> Words:
    """Return (k,) ``text`` as words, filled up with NUL."""
    return np.frombuffer(text.ljust(-(-len(text) // 8) * 8, b"\0"), np.uint64)


def _table(texts: Iterable[bytes], at: int = 0) -> Words:
    """Return (n,) words with a text each that begins at byte ``at``; what does not fit is cut off."""
    return np.frombuffer(b"".join((b"\0" * at + text)[:8].ljust(8, b"\0") for text in texts), np.uint64)


# Places of "[-1234567.8,-1234567.8]," in three words. The lower half of a number is looked up among the first ten
# thousand where it stands alone, and among the second, which have leading zeros, where there is a higher half.
_HIGH = [b"%d" % high if high else b"" for high in WHOLE]
_TENTHS = [b"%d.%d" % divmod(low, 10) for low in WHOLE] + [b"%03d.%d" % divmod(low, 10) for low in WHOLE]
_X_HIGH = _table(b"[\0" + text for text in _HIGH)
_X_LOW = _table(_TENTHS, 6), _table(text[2:] for text in _TENTHS)
_Y_HIGH = _table((b",\0" + text for text in _HIGH), 3), _table(text[3:] for text in _HIGH)
_Y_LOW = _table((text.ljust(5, b"\0") + b"]," for text in _TENTHS), 1)
_X_SIGN, _Y_SIGN = _table([b"", b"-"], 1), _table([b"", b"-"], 4)
_NO_COMMA, _NO_FIRST = _table([b"\xff" * 7]), _table([b"\xff" * 7], 1)


def vertices(tenths: NDArray[np.floating]) -> Words:
    """Return (n, 3) words, vertices as JSON such as ``[1.0,2.5],``.

    Parameters
    ----------
    tenths : (n, 2)
        x, y in whole tenths of a pixel.

    Raises
    ------
    GeoJSONError
        If a coordinate is ten million pixels or more.
    """
    size = np.abs(tenths)
    if size.size and size.max() >= _LOW**2:
        raise GeoJSONError(f"a cell lies at {size.max() / 10:.0f} px, where no slide reaches")
    x_high, x_low = _halves(size[:, 0])
    y_high, y_low = _halves(size[:, 1])
    text = np.empty((len(tenths), 3), np.uint64)
    text[:, 0] = _X_HIGH[x_high] | _X_LOW[0][x_low]
    text[:, 1] = _X_LOW[1][x_low] | _Y_HIGH[0][y_high]
    text[:, 2] = _Y_HIGH[1][y_high] | _Y_LOW[y_low]
    negative = (tenths < 0).astype(np.intp)
    if negative.any():
        text[:, 0] |= _X_SIGN[negative[:, 0]]
        text[:, 1] |= _Y_SIGN[negative[:, 1]]
    return text


def without_comma(text: Words) -> Words:
    """Return (n,) last words of vertices without the comma."""
    return text & _NO_COMMA


def without_first(text: Words) -> Words:
    """Return (n,) words without their first byte."""
    return text & _NO_FIRST


_FRACTIONS = [b".%d" % (part // 100) if part % 100 == 0 else b".%02d" % (part // 10) for part in range(1000)]
_FRACTIONS = [text if part % 10 == 0 else b".%03d" % part for part, text in enumerate(_FRACTIONS)]
_FRACTION = _table(_FRACTIONS, 4)
_UNITS = _table([b"%d" % low for low in WHOLE] + [b"%04d" % low for low in WHOLE])
_ABOVE = _table(_HIGH, 4)
_SIGN = _table([b"", b"-"], 3)


def thousandths(values: NDArray[np.float64]) -> Words:
    """Return (n, k) words: numbers with three decimals at most as JSON, such as ``1.0``, ``0.25`` or ``-3.125``.

    Parameters
    ----------
    values : (n,)
        Rounded to three decimals; those that are NaN become NULs.
    """
    present = np.isfinite(values)
    exact = np.where(present, values, 0)
    size = np.rint(np.abs(exact) * 1000)
    if size.size and size.max() >= 1000 * _LOW**2:  # no measurement is; a model may say so yet
        return _printed(values)
    whole, part = np.divmod(size.astype(np.int64), 1000)
    high, low = _halves(whole)
    text = np.zeros((len(values), 2), np.uint64)
    text[:, 0] = _ABOVE[high] | _SIGN[np.signbit(exact).astype(np.intp)]
    text[:, 1] = _UNITS[low] | _FRACTION[part]
    text[~present] = 0
    return text if text[:, 0].any() else text[:, 1:]


def _printed(values: NDArray[np.float64]) -> Words:
    texts = [orjson.dumps(value) if np.isfinite(value) else b"" for value in values.tolist()]
    long = max(-(-len(text) // 8) for text in texts)
    return np.frombuffer(b"".join(text.ljust(8 * long, b"\0") for text in texts), np.uint64).reshape(-1, long)


def _halves(size: NDArray[np.integer] | NDArray[np.floating]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return whole numbers as places in the tables of their upper and of their lower half."""
    whole = size.astype(np.uint32)  # of 32 bits, and by a constant: a division that processors do eight at a time
    high = whole // np.uint32(_LOW)
    low = whole - high * np.uint32(_LOW)
    return high, low + np.uint32(_LOW) * (high > 0)
