"""Agreement beyond chance: Cohen's kappa of two raters, Fleiss' kappa of several, of all classes and of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ONE_CLASS = "all raters always gave the same class, so there is no chance to compare with"
_NO_NUCLEUS = "there is no nucleus to compare"


@dataclass(frozen=True, slots=True)
class Kappa:
    """A kappa, or why there is none."""

    value: float | None
    """1 for full agreement, 0 for as much as chance, negative for less."""
    nuclei: int
    """How many it is computed from."""
    reason: str = ""
    """Why ``value`` is None; empty otherwise."""

    def as_dict(self) -> dict[str, Any]:
        """Return {"value", "nuclei", "reason"}."""
        return {"value": self.value, "nuclei": self.nuclei, "reason": self.reason}


def cohen(table: NDArray[np.integer]) -> Kappa:
    """Return Cohen's kappa (Cohen 1960, "A coefficient of agreement for nominal scales").

    (po - pe) / (1 - pe), where po is the share of nuclei to which both gave the same class, and pe what it would be
    if each had dealt out the same number of each class at random.

    Parameters
    ----------
    table : (k, k) int
        Nuclei by the class that the first rater gave (rows) and the second (columns).
    """
    counts = table.astype(np.float64)
    total = counts.sum()
    if not total:
        return Kappa(None, 0, _NO_NUCLEUS)
    chance = float(counts.sum(axis=0) @ counts.sum(axis=1)) / total**2
    if chance == 1:
        return Kappa(None, int(total), _ONE_CLASS)
    return Kappa(float((np.trace(counts) / total - chance) / (1 - chance)), int(total))


def cohen_of(table: NDArray[np.integer], category: int) -> Kappa:
    """Return Cohen's kappa of one class against all the others together (parameters as :func:`cohen`)."""
    both = table[category, category]
    first, second = table[category].sum() - both, table[:, category].sum() - both
    return cohen(np.array([[both, first], [second, table.sum() - both - first - second]]))


def fleiss(counts: NDArray[np.integer]) -> Kappa:
    """Return Fleiss' kappa (Fleiss 1971, "Measuring nominal scale agreement among many raters").

    Parameters
    ----------
    counts : (n, k) int
        For each nucleus how many raters gave it each class; every row has the same sum, the number of raters.
    """
    if not len(counts):
        return Kappa(None, 0, _NO_NUCLEUS)
    raters = int(counts[0].sum())
    shares = counts.sum(axis=0) / counts.sum()
    chance = float(shares @ shares)
    if shares.max() == 1:
        return Kappa(None, len(counts), _ONE_CLASS)
    agreed = float(((counts**2).sum(axis=1) - raters).mean()) / (raters * (raters - 1))
    return Kappa((agreed - chance) / (1 - chance), len(counts))


def fleiss_of(counts: NDArray[np.integer], category: int) -> Kappa:
    """Return Fleiss' kappa of one class (Fleiss 1971): of it against all the others together.

    Parameters as :func:`fleiss`.
    """
    own = counts[:, category]
    return fleiss(np.stack([own, counts.sum(axis=1) - own], axis=1))
