"""Coordinates as text, by table: the floating-point printing of a million outlines takes longer than all else."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pathopipe.edges import closing
from pathopipe.errors import GeoJSONError

_LOW = 10_000
"""A number of tenths is split by this: four digits before, and three and the decimal behind."""


def _table(texts: list[bytes]) -> NDArray[np.bytes_]:
    return np.array(texts)


# NUL where there is no digit; NULs are taken out of the whole text at the end.
_HIGHS = _table([b"%d" % high if high else b"" for high in range(_LOW)])
_LOWS = _table([b"%03d.%d" % divmod(low, 10) for low in range(_LOW)])
_ALONE = _table([b"%d.%d" % divmod(low, 10) for low in range(_LOW)])
_VERTEX = np.dtype(
    [
        *(("open", "S1"), ("x_sign", "S1"), ("x_high", "S4"), ("x_low", "S5"), ("comma", "S1")),
        *(("y_sign", "S1"), ("y_high", "S4"), ("y_low", "S5"), ("close", "S2")),
    ]
)


def rings_as_json(tenths: NDArray[np.floating], offsets: NDArray[np.int64]) -> list[bytes]:
    """Return closed rings as JSON, such as ``[[1.0,2.5],[3.0,4.5],[5.0,0.0],[1.0,2.5]]``.

    Parameters
    ----------
    tenths : (vertices, 2)
        x, y in whole tenths of a pixel, open rings.
    offsets : (n + 1,)
        Ring i is ``tenths[offsets[i]:offsets[i + 1]]``; the first begins at 0.

    Raises
    ------
    GeoJSONError
        If a coordinate is ten million pixels or more.
    """
    if not len(tenths):
        return []
    whole = np.asarray(tenths, np.int64)
    if np.abs(whole).max() >= _LOW**2:
        raise GeoJSONError(f"a cell lies at {np.abs(whole).max() / 10:.0f} px, where no slide reaches")
    text = np.zeros(len(whole), _VERTEX)
    text["open"], text["comma"], text["close"] = b"[", b",", b"],"
    for axis, name in enumerate("xy"):
        high, low = np.divmod(np.abs(whole[:, axis]), _LOW)
        text[f"{name}_high"] = _HIGHS[high]
        text[f"{name}_low"] = np.where(high > 0, _LOWS[low], _ALONE[low])
        text[f"{name}_sign"] = np.where(whole[:, axis] < 0, b"-", b"")
    closed = text[closing(offsets)]
    closed["close"][offsets[1:] + np.arange(len(offsets) - 1)] = b"]\n"
    rings = closed.tobytes().translate(None, b"\0").split(b"\n")[:-1]
    return [b"[%b]" % ring for ring in rings]
