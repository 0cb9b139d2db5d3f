"""The figures of several images: each image's, all objects pooled, the mean over the images, and the intervals."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from pathopipe.evaluation.agreement import Agreement, pooled
from pathopipe.evaluation.intervals import CONFIDENCE, DRAWS, Intervals, bootstrap, bootstrap_difference
from pathopipe.evaluation.pairs import EvaluationError

_COLUMNS = {
    "f1": "F1", "pq": "PQ", "sq": "SQ", "aji": "AJI", "aji_plus": "AJI+", "dice": "Dice", "ap_0.5": "AP@.5",
    "ap_0.7": "AP@.7", "ap_0.9": "AP@.9",
}  # fmt: skip


@dataclass(frozen=True)
class EvaluationResult:
    """Several images compared."""

    images: dict[str, Agreement]
    """File stem to agreement, sorted."""

    @cached_property
    def pooled(self) -> Agreement:
        """All objects of all images counted together."""
        return pooled(self.images.values())

    def mean(self, name: str) -> float | None:
        """Return the mean over the images of a figure such as "pq", without the images where it does not exist."""
        values = [value for image in self.images.values() if (value := image.figure(name)) is not None]
        return float(np.mean(values)) if values else None

    @cached_property
    def intervals(self) -> Intervals:
        """95 % intervals of the pooled figures and of the means, by bootstrap over the images."""
        return bootstrap(list(self.images.values()))

    def as_dict(self) -> dict[str, Any]:
        """Return {"images": {stem: figures}, "pooled": figures, "mean": figures, "intervals": {…}}."""
        return {
            "images": {stem: image.as_dict() for stem, image in self.images.items()},
            "pooled": self.pooled.as_dict(),
            "mean": {name: self.mean(name) for name in self.pooled.fractions},
            "intervals": self.intervals.as_dict(),
        }


@dataclass(frozen=True)
class Difference:
    """How much better one prediction of some images is than another, the baseline."""

    ours: EvaluationResult
    baseline: EvaluationResult
    """Of the same images."""

    def __post_init__(self) -> None:
        if list(self.ours.images) != list(self.baseline.images):
            raise EvaluationError("prediction and baseline are of different images")

    @property
    def pooled(self) -> dict[str, float | None]:
        """Pooled figures less those of the baseline; None where one does not exist."""
        one, other = self.ours.pooled, self.baseline.pooled
        return {name: _less(one.figure(name), other.figure(name)) for name in one.fractions}

    @property
    def mean(self) -> dict[str, float | None]:
        """The same of the means over the images."""
        return {name: _less(self.ours.mean(name), self.baseline.mean(name)) for name in self.ours.pooled.fractions}

    @cached_property
    def intervals(self) -> Intervals:
        """95 % intervals of the differences, by bootstrap over the images, paired."""
        return bootstrap_difference(list(self.ours.images.values()), list(self.baseline.images.values()))

    def as_dict(self) -> dict[str, Any]:
        """Return {"pooled": differences, "mean": differences, "intervals": {…}}."""
        return {"pooled": self.pooled, "mean": self.mean, "intervals": self.intervals.as_dict()}


def _less(figure: float | None, baseline: float | None) -> float | None:
    return None if figure is None or baseline is None else figure - baseline


def as_text(result: EvaluationResult) -> str:
    """Return ``result`` as a table: a row an image, then all objects pooled and the mean, each with its interval."""
    wide = max([len(stem) for stem in result.images] + [8])
    lines = [f"{'image':{wide}}  truth  found " + " ".join(f"{title:>6}" for title in _COLUMNS.values())]
    for stem, image in [*result.images.items(), ("pooled", result.pooled)]:
        counts = f"{image.truth:6d} {image.predicted:6d}"
        lines.append(f"{stem:{wide}} {counts} " + _cells([image.figure(name) for name in _COLUMNS]))
    lines += _interval_rows(result.intervals.pooled, wide)
    lines.append(f"{'mean':{wide}} {'':13} " + _cells([result.mean(name) for name in _COLUMNS]))
    lines += _interval_rows(result.intervals.mean, wide)
    return "\n".join([*lines, _told(result.intervals, len(result.images)), errors_text(result.pooled)])


def errors_text(agreement: Agreement) -> str:
    """Return two lines: what became of the missed nuclei, and what the false alarms are."""
    lines = []
    for title, number, kinds in (
        ("missed", agreement.false_negatives, agreement.misses),
        ("false alarms", agreement.false_positives, agreement.false_alarms),
    ):
        counts = (f"{count:,} {name.replace('_', ' ')}" for name, count in kinds.items())
        lines.append(f"{number:,} {title}: {', '.join(counts)}")
    return "\n".join(lines)


def difference_text(difference: Difference) -> str:
    """Return ``difference`` as a table below that of :func:`as_text`."""
    wide = max([len(stem) for stem in difference.ours.images] + [8])
    lines = [f"{'better by':{wide}} {'':13} " + " ".join(f"{title:>6}" for title in _COLUMNS.values())]
    intervals = difference.intervals
    for title, figures, bounds in (
        ("pooled", difference.pooled, intervals.pooled),
        ("mean", difference.mean, intervals.mean),
    ):
        lines.append(f"{title:{wide}} {'':13} " + _cells([figures[name] for name in _COLUMNS], "+"))
        lines += _interval_rows(bounds, wide, "+")
    return "\n".join([*lines, _told(intervals, len(difference.ours.images))])


def _told(intervals: Intervals, images: int) -> str:
    if "all" in intervals.reasons:
        return f"no interval: {intervals.reasons['all']}"
    return f"{CONFIDENCE:.0%} interval: bootstrap over the {images} images, {DRAWS:,} samples"


def _interval_rows(intervals: dict[str, tuple[float, float]], wide: int, sign: str = "") -> list[str]:
    if not intervals:
        return []
    bounds = [intervals.get(name, (None, None)) for name in _COLUMNS]
    titles = f"  {CONFIDENCE:.0%} from", "      to"
    return [
        f"{title:{wide}} {'':13} " + _cells([each[side] for each in bounds], sign) for side, title in enumerate(titles)
    ]


def _cells(figures: list[float | None], sign: str = "") -> str:
    return " ".join("     –" if figure is None else f"{figure:{sign}6.3f}" for figure in figures)
