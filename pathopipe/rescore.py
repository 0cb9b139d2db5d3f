"""Scores anew from the cells that were written: after a new score was added, or another version installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from pathopipe.annotations.written import WrittenCells
from pathopipe.batch.summary import read_summary, summary_row, write_summary
from pathopipe.errors import StoreError
from pathopipe.files import seal
from pathopipe.layout import SlideFolder
from pathopipe.record import Record
from pathopipe.scores.base import ScoreContext
from pathopipe.scores.files import write_scores
from pathopipe.scores.run import compute_scores


def rescore(out: Path) -> Iterator[str]:
    """Compute the scores of every analysed slide in ``out`` anew, update ``summary.csv``, and yield the slides' ids.

    Raises
    ------
    StoreError
        If there is no analysed slide, or a slide's cells cannot be read.
    """
    rows = {row["id"]: row for row in read_summary(out)}
    folders = [SlideFolder(path.parent) for path in sorted(out.glob("*/slide.json"))]
    records = [(folder, Record.load(folder)) for folder in folders]
    analysed = [(folder, record) for folder, record in records if record and record.analysed_mm2 is not None]
    if not analysed:
        raise StoreError(f"{out} holds no analysed slide; run `pathopipe run` first")
    for folder, record in analysed:
        write_scores(folder.scores, compute_scores(_context(record, folder)))
        if record.files:
            replace(record, files=record.files | {folder.scores.name: seal(folder.scores)}).save(folder)
        rows[record.id] = summary_row(record, folder)
        yield record.id
    write_summary(out, rows.values())


def _context(record: Record, folder: SlideFolder) -> ScoreContext:
    cells = WrittenCells.read(folder.cells_parquet, tuple(record.classes))
    return ScoreContext(
        area_um2=cells.area_um2,
        class_id=cells.class_id,
        classes=cells.classes,
        score=cells.score,
        tissue_mm2=record.tissue_mm2 or 0.0,
        analysed_mm2=record.analysed_mm2 or 0.0,
        mpp=record.mpp or float("nan"),
    )
