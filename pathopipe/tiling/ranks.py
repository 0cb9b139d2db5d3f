"""Medians and percentiles of more values than are held in memory; NumPy's may differ in a percentile's last bits.

The bits of floats that are not negative ascend as the floats do: the upper half of them is counted first, then the
lower half of those that the value wanted is among.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

Values = Callable[[], Iterable[NDArray[np.float32]]]
"""Gives the same values, none negative, at each call: parts of them of any shape."""

_HALF = 2**16


def median(values: Values) -> float | None:
    """Return ``np.median`` of ``values``; None where there are none."""
    counts = _upper(values)
    number = int(counts.sum())
    if not number:
        return None
    return float(np.median(_ranked(values, counts, sorted({(number - 1) // 2, number // 2}))))


def percentile(values: Values, percent: float) -> float | None:
    """Return ``np.percentile`` of ``values``, but for its rounding; None where there are none."""
    counts = _upper(values)
    number = int(counts.sum())
    if not number:
        return None
    place = (number - 1) * (percent / 100)
    low = math.floor(place)
    first, second = _ranked(values, counts, [low, min(low + 1, number - 1)])
    return float(first) + (float(second) - float(first)) * (place - low)


def _upper(values: Values) -> NDArray[np.int64]:
    counts = np.zeros(_HALF, np.int64)
    for part in values():
        counts += np.bincount(_bits(part) >> 16, minlength=_HALF)
    return counts


def _ranked(values: Values, counts: NDArray[np.int64], ranks: Sequence[int]) -> NDArray[np.float32]:
    """Return the values at ``ranks`` of the ascending order; ``counts`` are of their upper halves."""
    past = np.cumsum(counts)
    bins = [int(np.searchsorted(past, rank, side="right")) for rank in ranks]
    lower = {each: np.zeros(_HALF, np.int64) for each in bins}
    for part in values():
        bits = _bits(part)
        for each, found in lower.items():
            found += np.bincount(bits[bits >> 16 == each] & (_HALF - 1), minlength=_HALF)
    found_bits = []
    for each, rank in zip(bins, ranks, strict=True):
        inside = rank - int(past[each] - counts[each])
        found_bits.append(each * _HALF + int(np.searchsorted(np.cumsum(lower[each]), inside, side="right")))
    return np.array(found_bits, np.uint32).view(np.float32)


def _bits(part: NDArray[np.float32]) -> NDArray[np.uint32]:
    # Adding zero makes zeros of both signs the same.
    return (np.ravel(part) + np.float32(0)).view(np.uint32)
