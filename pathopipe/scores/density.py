"""Areas, cells, and cells per mm²."""

from __future__ import annotations

import re

import numpy as np
from scipy.special import gammaincinv

from pathopipe.scores.base import Score, ScoreContext


def density(context: ScoreContext) -> list[Score]:
    """Return tissue and analysed area, the number of cells, and their density with its interval.

    Where the model has several classes, number and density follow for each of them.
    """
    scores = [
        Score("tissue_mm2", context.tissue_mm2, "mm²"),
        Score("analysed_mm2", context.analysed_mm2, "mm²"),
        *_counted(context, len(context), ""),
    ]
    if len(context.classes) > 1:
        counts = np.bincount(context.class_id, minlength=len(context.classes))
        for suffix, count in zip(column_names(context.classes), counts, strict=True):
            scores += _counted(context, int(count), f"_{suffix}")
    return scores


def _counted(context: ScoreContext, count: int, suffix: str) -> list[Score]:
    number, per_area = f"cells{suffix}", f"cells_per_mm2{suffix}"
    if context.unknown:
        cells = Score(number, None, "cells", reason=context.unknown)
    else:
        cells = Score(number, count, "cells", numerator=count)
    if context.nothing_analysed:
        return [cells, Score(per_area, None, "cells/mm²", reason=context.nothing_analysed)]
    area = context.analysed_mm2
    low, high = poisson_interval(count)
    ratio = Score(per_area, count / area, "cells/mm²", count, area, (low / area, high / area))
    return [cells, ratio]


def poisson_interval(count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Return the exact interval of the mean of a Poisson variable of which ``count`` was seen.

    Garwood (1936), "Fiducial limits for the Poisson distribution", Biometrika 28. Its quantiles of chi-squared with
    2k degrees of freedom, halved, are those of the gamma distribution of shape k, which is what is called here. It
    tells how sure the count is if cells lay at random; cells cluster, so the true uncertainty is larger.
    """
    tail = (1 - confidence) / 2
    low = float(gammaincinv(count, tail)) if count else 0.0
    return low, float(gammaincinv(count + 1, 1 - tail))


def column_names(classes: tuple[str, ...]) -> list[str]:
    """Return class names as they end score names: lower case, words joined by "_", each once.

    "Immune cells" becomes "immune_cells"; where two classes would share a name, the later gets its number.
    """
    names: list[str] = []
    for number, name in enumerate(classes, 1):
        slug = re.sub(r"[^\w+-]+", "_", name.lower()).strip("_") or "class"
        names.append(slug if slug not in names else f"{slug}_{number}")
    return names
