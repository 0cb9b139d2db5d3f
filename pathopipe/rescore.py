"""Scores anew from the cells that were written: after a new score was added, or another version installed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pathopipe.errors import StoreError
from pathopipe.files import seal
from pathopipe.layout import SlideFolder
from pathopipe.record import Record
from pathopipe.scores.base import ScoreContext
from pathopipe.scores.files import write_scores
from pathopipe.scores.run import compute_scores
from pathopipe.summary import read_summary, summary_row, write_summary


def rescore(out: Path) -> Iterator[str]:
    """Compute the scores of every analysed slide in ``out`` anew, update ``summary.csv``, and yield the slides' ids.

    Raises
    ------
    StoreError
        If there is no analysed slide, or a slide's cells cannot be read.
    """
    rows = {row["id"]: row for row in read_summary(out)}
    records = [Record.load(SlideFolder(path.parent)) for path in sorted(out.glob("*/slide.json"))]
    analysed = [record for record in records if record and record.analysed_mm2 is not None]
    if not analysed:
        raise StoreError(f"{out} holds no analysed slide; run `pathopipe run` first")
    for record in analysed:
        folder = SlideFolder(out / record.id)
        write_scores(folder.scores, compute_scores(_context(record, folder)))
        if record.files:
            replace(record, files=record.files | {folder.scores.name: seal(folder.scores)}).save(folder)
        rows[record.id] = summary_row(record, folder)
        yield record.id
    write_summary(out, rows.values())


def _context(record: Record, folder: SlideFolder) -> ScoreContext:
    try:
        table = pq.read_table(folder.cells_parquet, columns=["area_um2", "score", "class"])
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(f"the cells of {record.id} cannot be read: {error}; run it again") from error
    classes = tuple(record.classes)
    number = {name: index for index, name in enumerate(classes)}
    return ScoreContext(
        area_um2=table["area_um2"].to_numpy(),
        class_id=np.array([number[name] for name in table["class"].to_pylist()], np.uint8),
        classes=classes,
        score=table["score"].to_numpy().astype(np.float32),
        tissue_mm2=record.tissue_mm2 or 0.0,
        analysed_mm2=record.analysed_mm2 or 0.0,
        mpp=record.mpp or float("nan"),
    )
