"""``scores.json``: the scores of one slide."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pathopipe.errors import StoreError
from pathopipe.files import read_json, write_json
from pathopipe.scores.base import Histogram, Score

FORMAT = 1
"""Version of the file format."""
CONFIDENCE = 0.95
"""Of every interval in the file."""


def write_scores(path: Path, scores: Iterable[Score]) -> None:
    """Write ``scores`` to ``path`` atomically, in their order; equal scores give equal bytes.

    Numbers are rounded to 4 decimals, or to 6 significant digits where that is finer.
    """
    written = {score.name: _entry(score) for score in scores}
    write_json(path, {"format": FORMAT, "interval_confidence": CONFIDENCE, "scores": written})


def read_scores(path: Path) -> tuple[Score, ...]:
    """Return the scores in ``path``, in the file's order.

    Raises
    ------
    StoreError
        If the file is missing, damaged, or of another format version.
    """
    values = read_json(path)
    if values is None:
        raise StoreError(f"{path} is missing or is not JSON; recompute it with: pathopipe score")
    if values.get("format") != FORMAT:
        raise StoreError(f"{path} has format {values.get('format')!r}, this version reads {FORMAT}; recompute it")
    try:
        return tuple(_score(name, entry) for name, entry in values["scores"].items())
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path} is damaged ({error}); recompute it with: pathopipe score") from error


def rounded(number: float | None) -> float | None:
    """Return ``number`` as it is written: whole numbers whole, others to 4 decimals or 6 digits, the finer."""
    if number is None or number == 0:
        return None if number is None else 0
    value = round(float(number), max(4, 5 - math.floor(math.log10(abs(number)))))
    return int(value) if value.is_integer() else value


def _entry(score: Score) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "value": rounded(score.value),
        "unit": score.unit,
        "numerator": rounded(score.numerator),
        "denominator": rounded(score.denominator),
        "interval": None if score.interval is None else [rounded(bound) for bound in score.interval],
        "reason": score.reason,
    }
    if score.histogram:
        entry["histogram"] = {
            "edges": [rounded(edge) for edge in score.histogram.edges],
            "counts": list(score.histogram.counts),
            "above": score.histogram.above,
        }
    return entry


def _score(name: str, entry: Mapping[str, Any]) -> Score:
    interval, histogram = entry["interval"], entry.get("histogram")
    return Score(
        name,
        entry["value"],
        entry["unit"],
        entry["numerator"],
        entry["denominator"],
        None if interval is None else (interval[0], interval[1]),
        entry["reason"],
        histogram and Histogram(tuple(histogram["edges"]), tuple(histogram["counts"]), histogram["above"]),
    )
