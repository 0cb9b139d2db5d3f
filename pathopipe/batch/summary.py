"""``summary.csv``: a row a slide, then a column a score; rows of earlier runs into the same folder stay."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path

from pathopipe.errors import StoreError
from pathopipe.files import write_text
from pathopipe.layout import SUMMARY, SlideFolder
from pathopipe.record import Record
from pathopipe.scores.files import read_scores

COLUMNS = (
    "id",
    "slide",
    "status",
    "error",
    "mpp",
    "tissue_mm2",
    "tiles",
    "tiles_failed",
    "mm2_lost",
    "cells",
    "cells_per_mm2",
    "seconds",
    "remarks",
)
"""The fixed columns; those of the scores follow, sorted by name."""


_BREAKS = str.maketrans("\r\n\t\0", "    ")
"""A file's name may have them; a table must not."""


def summary_row(record: Record, folder: SlideFolder) -> dict[str, str]:
    """Return the row of one slide: column to text, empty where there is no value."""
    values = _score_values(folder) if record.status in ("complete", "incomplete") else {}
    row: dict[str, object] = {
        "id": record.id,
        "slide": record.slide,
        "status": record.status,
        "error": record.error,
        "mpp": record.mpp,
        "tissue_mm2": _rounded(record.tissue_mm2),
        "tiles": record.tiles,
        "tiles_failed": len(record.tiles_failed) if record.tiles is not None else None,
        "mm2_lost": _rounded(record.mm2_lost),
        "cells": record.cells,
        "cells_per_mm2": values.get("cells_per_mm2"),
        "seconds": round(sum(record.seconds.values()), 2) if record.seconds else None,
        "remarks": " ".join(record.remarks),
    }
    row |= {name: value for name, value in values.items() if name not in row}
    return {name: "" if value is None else _plain(value) for name, value in row.items()}


def _plain(value: object) -> str:
    """Return a value as text that no spreadsheet takes for a formula; numbers are none, whatever their sign.

    An apostrophe in front is the spreadsheets' own way to say so (OWASP, "CSV Injection").
    """
    text = str(value).translate(_BREAKS)
    return f"'{text}" if isinstance(value, str) and text.startswith(("=", "+", "-", "@")) else text


def read_summary(out: Path) -> list[dict[str, str]]:
    """Return the rows of ``out``'s summary; none where there is no summary yet.

    Raises
    ------
    StoreError
        If the file is there but is not a summary.
    """
    path = out / SUMMARY
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    try:
        rows = list(csv.DictReader(io.StringIO(text)))
    except csv.Error as error:
        raise StoreError(f"{path} is not a summary of pathopipe ({error}); move it away") from error
    if rows and not {"id", "slide", "status"} <= rows[0].keys():
        raise StoreError(f"{path} is not a summary of pathopipe (no columns id, slide, status); move it away")
    return rows


def write_summary(out: Path, rows: Iterable[Mapping[str, str]]) -> None:
    """Write ``summary.csv`` atomically, rows sorted by id."""
    rows = sorted(rows, key=lambda row: row["id"])
    scores = sorted({name for row in rows for name in row} - set(COLUMNS))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS, *scores], restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(out / SUMMARY, text.getvalue())


def _score_values(folder: SlideFolder) -> dict[str, float]:
    return {score.name: score.value for score in read_scores(folder.scores) if score.value is not None}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
