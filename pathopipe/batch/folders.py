"""Which folder of the output a slide gets: one of its own, however many have its name and whoever else works there."""

from __future__ import annotations

from pathlib import Path

from pathopipe.batch.holding import turn
from pathopipe.errors import OutputInUseError
from pathopipe.layout import SlideFolder
from pathopipe.record import Record
from pathopipe.slide.find import FoundSlide


def absolute(slide: str) -> str:
    """Return the path as workers need it, who may have been started elsewhere; URLs are left as they are."""
    return slide if "://" in slide else str(Path(slide).absolute())


def folder_for(out: Path, entry: FoundSlide) -> SlideFolder:
    """Return the slide's folder: its id, or ``id-2`` … where another slide of an earlier run has that.

    A folder whose slide is gone from where it was is taken to be the same slide, moved: its fingerprint decides what
    of it still holds.

    Raises
    ------
    OutputInUseError
        If too many slides have that name.
    """
    for number in range(1, 10_000):
        folder = SlideFolder(out / (entry.id if number == 1 else f"{entry.id}-{number}"), entry.veil)
        record = Record.load(folder)
        if record is None or _is_of(record, entry):
            return folder
    raise OutputInUseError(f"{out} holds 10,000 slides named {entry.id!r}; use another output folder")


def _is_of(record: Record, entry: FoundSlide) -> bool:
    if entry.veil is not None:  # whether the other slide is still there cannot be told: its path is not known
        return record.slide == entry.veil.shown
    return record.slide == absolute(entry.path) or not Path(record.slide).exists()


def claimed(out: Path, entry: FoundSlide) -> SlideFolder:
    """Return the slide's folder as :func:`folder_for` does, with a record in it, so that no other shard takes it."""
    with turn(out):
        folder = folder_for(out, entry)
        if Record.load(folder) is None:
            slide = entry.veil.shown if entry.veil else absolute(entry.path)
            Record.begun(folder.path.name, slide).save(folder)
    return folder
