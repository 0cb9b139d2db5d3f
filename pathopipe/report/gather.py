"""What the report tells, read back from an output folder and from nothing else.

Everything may be missing but the folder: a slide that failed has left its row of the summary and little more.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pathopipe.errors import StoreError
from pathopipe.files import read_json
from pathopipe.layout import RUN, SUMMARY, SlideFolder
from pathopipe.scores.base import Score
from pathopipe.scores.files import read_scores

BAD = ("failed", "incomplete")
_ORDER = {"failed": 0, "incomplete": 1, "complete": 2, "skipped": 3}


@dataclass(frozen=True)
class SlideResult:
    """What is known of one slide."""

    id: str
    slide: str
    """Path or URL."""
    status: str
    error: str
    folder: SlideFolder
    record: Mapping[str, Any] = field(default_factory=dict)
    """Of slide.json; empty where it is missing."""
    scores: tuple[Score, ...] = ()
    scores_problem: str = ""
    """Why there are no scores."""

    @property
    def bad(self) -> bool:
        """Whether something went wrong."""
        return self.status in BAD

    @property
    def analysed(self) -> bool:
        """Whether the slide's files tell of it as it is now; those of a slide that failed are of an earlier run."""
        return self.status in ("complete", "incomplete") and self.number("cells") is not None

    @property
    def name(self) -> str:
        """The slide's file name."""
        return self.slide.rstrip("/").rpartition("/")[2] or self.id

    def score(self, name: str) -> Score | None:
        """Return the score ``name``, or None."""
        return next((score for score in self.scores if score.name == name), None)

    def number(self, key: str) -> float | None:
        """Return the number ``key`` of the record, or None."""
        value = self.record.get(key)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def mapping(self, key: str) -> Mapping[str, Any]:
        """Return the mapping ``key`` of the record, or an empty one."""
        value = self.record.get(key)
        return value if isinstance(value, dict) else {}

    @property
    def seconds(self) -> dict[str, float]:
        """Seconds that each stage took, in the order worked."""
        return self._seconds("seconds")

    @property
    def worker_seconds(self) -> dict[str, float]:
        """Seconds that the workers spent on each of their stages, all of them together."""
        return self._seconds("worker_seconds")

    @property
    def bottleneck(self) -> str:
        """What took most of the time, and what would help."""
        told = self.record.get("bottleneck")
        return told if isinstance(told, str) else ""

    def _seconds(self, key: str) -> dict[str, float]:
        return {str(k): float(v) for k, v in self.mapping(key).items() if isinstance(v, int | float) and v >= 0}

    @property
    def failed_tiles(self) -> list[dict[str, str]]:
        """Name and error of each tile that could not be analysed."""
        tiles = self.record.get("tiles_failed")
        told = tiles if isinstance(tiles, list) else []
        return [
            {"name": str(each.get("name") or each.get("tile")), "error": str(each.get("error"))}
            for each in told
            if isinstance(each, dict)
        ]

    @property
    def remarks(self) -> list[str]:
        """What makes the result doubtful, then what is unusual about the slide."""
        told = [self.record.get("remarks"), self.mapping("info").get("unusual")]
        return [str(each) for some in told if isinstance(some, list | tuple) for each in some]

    @property
    def files(self) -> list[str]:
        """Names of the files that are there for the user."""
        folder = self.folder
        paths = (*(folder.results if self.analysed else ()), folder.record, folder.log)
        return [path.name for path in paths if path.is_file()]


@dataclass(frozen=True)
class FolderResult:
    """What is known of a whole output folder."""

    path: Path
    slides: tuple[SlideResult, ...]
    """Failed ones first, then incomplete, complete and skipped; by id within."""
    run: Mapping[str, Any]
    """Of run.json; empty where it is missing."""

    def count(self, status: str) -> int:
        """Return how many slides have ``status``."""
        return sum(slide.status == status for slide in self.slides)

    @property
    def ignored(self) -> str:
        """What the run passed over in the folders it searched, such as "3 .xml, 1 .txt"; "" for nothing."""
        slides = self.run.get("slides")
        ignored = slides.get("ignored") if isinstance(slides, dict) else None
        if not isinstance(ignored, dict):
            return ""
        return ", ".join(f"{count} {ending or 'without extension'}" for ending, count in ignored.items())

    def total(self, name: str) -> tuple[float, int] | None:
        """Return the sum of the score ``name`` and the number of slides that have it; None where none has."""
        values = [score.value for slide in self.slides if (score := slide.score(name)) and score.value is not None]
        return (sum(values), len(values)) if values else None


def gather(folder: Path) -> FolderResult:
    """Read the output folder ``folder``.

    Raises
    ------
    StoreError
        If it holds no result of pathopipe.
    """
    rows = {row["id"]: row for row in _rows(folder / SUMMARY)}
    written = {path.parent.name for path in folder.glob("*/slide.json")}
    run = read_json(folder / RUN)
    if run is None and not rows and not written:
        raise StoreError(f"{folder} holds no results: neither {SUMMARY} nor {RUN} nor a slide's folder is there")
    slides = [_slide(folder, name, rows.get(name, {})) for name in sorted(rows.keys() | written)]
    slides.sort(key=lambda slide: (_ORDER.get(slide.status, 4), slide.id))
    return FolderResult(folder, tuple(slides), run or {})


def _rows(path: Path) -> list[dict[str, str]]:
    try:
        with open(path, encoding="utf-8", newline="") as file:
            return [row for row in csv.DictReader(file) if row.get("id") and _is_name(row["id"])]
    except FileNotFoundError:
        return []
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StoreError(f"{path} cannot be read ({error}); move it away and run again") from error


def _is_name(text: str) -> bool:
    """Return whether ``text`` is the name of a folder in the output folder, and no way out of it."""
    return "/" not in text and "\0" not in text and text not in (".", "..")


def _slide(out: Path, name: str, row: Mapping[str, str]) -> SlideResult:
    folder = SlideFolder(out / name)
    record = read_json(folder.record) or {}
    status = str(record.get("status") or row.get("status") or "unknown")
    result = SlideResult(
        id=name,
        slide=str(record.get("slide") or row.get("slide") or name),
        status=status,
        error=str(record.get("error") or row.get("error") or ""),
        folder=folder,
        record=record,
    )
    if not result.analysed:
        return result
    try:
        return replace(result, scores=read_scores(folder.scores))
    except StoreError as error:
        return replace(result, scores_problem=str(error))
