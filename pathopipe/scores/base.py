"""What a score is, and what a score function is given."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often values fall between edges; half-open bins, ``edges[i] <= value < edges[i + 1]``."""

    edges: tuple[float, ...]
    """(bins + 1,) ascending, in the score's unit."""
    counts: tuple[int, ...]
    """(bins,) how many values fall into each bin."""
    above: int = 0
    """How many are at or beyond the last edge."""

    def __post_init__(self) -> None:
        if len(self.edges) != len(self.counts) + 1:
            raise ValueError(f"{len(self.edges)} edges do not bound {len(self.counts)} bins")


@dataclass(frozen=True, slots=True)
class Score:
    """One number about a slide. What could not be computed has no value but a reason; it is never zero.

    Raises
    ------
    ValueError
        If neither or both of value and reason are given, or a number is not finite.
    """

    name: str
    """snake_case with its unit, such as "cells_per_mm2": the key in scores.json and the column in summary.csv."""
    value: float | None
    """None where it could not be computed."""
    unit: str
    """As shown to people, such as "cells/mm²"."""
    numerator: float | None = None
    """What was divided, where the score is a ratio or a mean; the value itself where it is a count."""
    denominator: float | None = None
    """What it was divided by, or the number of values that a statistic was taken of."""
    interval: tuple[float, float] | None = None
    """95 % confidence interval (low, high); None where the score has none or there were too few values."""
    reason: str | None = None
    """Why there is no value."""
    histogram: Histogram | None = None
    """The distribution that the value summarises."""

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError(f"score {self.name}: give either a value or the reason why there is none")
        numbers = [self.value, self.numerator, self.denominator, *(self.interval or ())]
        if not all(number is None or math.isfinite(number) for number in numbers):
            raise ValueError(f"score {self.name}: {numbers} are not all finite; a missing number is None with a reason")


@dataclass(frozen=True)
class ScoreContext:
    """All that scores are computed from: the slide's cells as columns, and the areas that they were found in."""

    area_um2: NDArray[np.float64]
    """(n,) area of every cell in µm²."""
    class_id: NDArray[np.uint8]
    """(n,) index into ``classes``."""
    classes: tuple[str, ...]
    """The model's class names."""
    score: NDArray[np.float32]
    """(n,) the model's confidence, 0 to 1."""
    tissue_mm2: float
    """Area of the tissue that was found."""
    analysed_mm2: float
    """The same without the tiles that failed: the denominator of every density."""
    mpp: float
    """µm per level-0 pixel, the mean of x and y."""

    def __post_init__(self) -> None:
        if not len(self.area_um2) == len(self.class_id) == len(self.score):
            raise ValueError(
                f"columns differ in length: {len(self.area_um2)} areas, {len(self.class_id)} classes, "
                f"{len(self.score)} scores"
            )

    def __len__(self) -> int:
        return len(self.area_um2)

    @property
    def nothing_analysed(self) -> str | None:
        """Why there is no area to divide by; None where there is one."""
        if self.analysed_mm2 > 0:
            return None
        return "no tissue was found" if self.tissue_mm2 <= 0 else "none of the tissue could be analysed"

    @property
    def unknown(self) -> str | None:
        """Why nothing can be said of the cells; None for a slide without tissue, which truly has none."""
        return self.nothing_analysed if self.tissue_mm2 > 0 else None


ScoreFunction = Callable[[ScoreContext], list[Score]]
"""What the entry points of the group ``pathopipe.scores`` name."""
