"""How large the nuclei are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtrik

from pathopipe.scores.base import Histogram, Score, ScoreContext

QUANTILES = {"median": 0.5, "p5": 0.05, "p25": 0.25, "p75": 0.75, "p95": 0.95}
BIN_UM2 = 5.0
"""Width of a bin. Fixed, so that slides can be laid side by side."""
BINS = 80


def size(context: ScoreContext) -> list[Score]:
    """Return mean and quantiles of the nuclear area in µm², the median with the histogram of all areas."""
    names = {name: f"nucleus_area_um2_{name}" for name in ("mean", *QUANTILES)}
    areas = np.sort(np.asarray(context.area_um2, np.float64))
    if not len(areas):
        reason = context.unknown or "no cells were found"
        return [Score(name, None, "µm²", reason=reason) for name in names.values()]
    total = math.fsum(areas)
    scores = [Score(names["mean"], total / len(areas), "µm²", total, len(areas))]
    for name, quantile in QUANTILES.items():
        scores.append(
            Score(
                names[name],
                float(np.quantile(areas, quantile)),
                "µm²",
                denominator=len(areas),
                interval=quantile_interval(areas, quantile),
                histogram=area_histogram(areas) if name == "median" else None,
            )
        )
    return scores


def quantile_interval(
    ordered: NDArray[np.float64], quantile: float, confidence: float = 0.95
) -> tuple[float, float] | None:
    """Return the interval of a quantile from order statistics; it assumes nothing about the distribution.

    The number of values below the true quantile is binomial, so two of the sorted values enclose it with at least
    ``confidence`` (David and Nagaraja, "Order Statistics", 3rd ed., section 7.1).

    Parameters
    ----------
    ordered : (n,) float64
        The values, ascending.
    quantile : float
        Such as 0.5 for the median.
    confidence : float
        Probability that the interval holds the true quantile.

    Returns
    -------
    (low, high) or None
        None where n is too small for any interval.
    """
    number = len(ordered)
    tail = (1 - confidence) / 2
    # 1-based ranks r < s with P(B < r) <= tail and P(B >= s) <= tail, where B is binomial.
    low = math.ceil(float(bdtrik(tail, number, quantile))) if (1 - quantile) ** number <= tail else 0
    high = math.ceil(float(bdtrik(1 - tail, number, quantile))) + 1
    if low < 1 or high > number:
        return None
    return float(ordered[low - 1]), float(ordered[high - 1])


def area_histogram(areas: NDArray[np.float64]) -> Histogram:
    """Return the histogram of ``areas`` (µm²) in bins of 5 µm² from 0 to 400 µm².

    Where more than 1 % lie beyond, as with a model of large cells, the bins are doubled in width until they do not.
    """
    width = BIN_UM2
    while np.count_nonzero(areas >= width * BINS) > len(areas) / 100:
        width *= 2
    bins = np.minimum(areas // width, BINS).astype(np.int64)
    counts = np.bincount(bins, minlength=BINS + 1)
    edges = tuple(float(edge) for edge in np.arange(BINS + 1) * width)
    return Histogram(edges, tuple(int(count) for count in counts[:BINS]), int(counts[BINS]))
