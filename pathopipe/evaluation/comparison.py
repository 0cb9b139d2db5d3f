"""Several raters compared: counts, agreement of every two on outlines and classes, and of all on classes.

The nuclei are those that at least one rater outlined. To a rater who did not outline a nucleus it is of the category
"none". What nobody outlined is not there to be counted, so two raters can never agree on "none": with a single class a
kappa with "none" is never above 0, and says less than the F1. So every kappa is given a second time over the matched
nuclei, those that all raters in question outlined: how well they agree on the class once they see the same nucleus.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.evaluation.agreement import Agreement, agreement
from pathopipe.evaluation.kappa import Kappa, cohen, cohen_of, fleiss, fleiss_of
from pathopipe.evaluation.pairs import EvaluationError, Pairs, polygon_pairs
from pathopipe.evaluation.raters import NONE, Rater, inside, same_nuclei


@dataclass(frozen=True)
class Kappas:
    """One kind of kappa, with "none" for nuclei not outlined and over the matched nuclei."""

    with_none: Kappa
    matched: Kappa

    def as_dict(self) -> dict[str, Any]:
        """Return {"with_none": kappa, "matched": kappa}."""
        return {"with_none": self.with_none.as_dict(), "matched": self.matched.as_dict()}


@dataclass(frozen=True, eq=False)
class TwoRaters:
    """How two raters agree; nuclei are matched between these two alone, whoever else is compared."""

    first: str
    second: str
    figures: Agreement
    """Of the outlines, the second rater taken for the truth."""
    reverse: Agreement
    """The same, the first taken for the truth: only the AJI differs."""
    classes: tuple[str, ...]
    table: NDArray[np.int64]
    """(k + 1, k + 1) nuclei by the class that the first (rows) and the second gave, "none" last."""

    @property
    def kappa(self) -> Kappas:
        """Cohen's kappa of all classes."""
        return Kappas(cohen(self.table), cohen(self.table[:-1, :-1]))

    def kappa_of(self, name: str) -> Kappas:
        """Return Cohen's kappa of class ``name`` against all the others together."""
        place = self.classes.index(name)
        return Kappas(cohen_of(self.table, place), cohen_of(self.table[:-1, :-1], place))

    def f1_of(self, name: str) -> float | None:
        """Return the F1 of class ``name``: 2 × the nuclei to which both gave it / the sum of both raters' counts of it.

        Also called positive specific agreement (Cicchetti and Feinstein 1990, "High agreement but low kappa: II").
        """
        place = self.classes.index(name)
        given = int(self.table[place].sum() + self.table[:, place].sum())
        return 2 * int(self.table[place, place]) / given if given else None

    def as_dict(self) -> dict[str, Any]:
        """Return the figures under stable names."""
        figures = self.figures.as_dict()
        return {
            "raters": [self.first, self.second],
            "matched": self.figures.true_positives,
            "only_first": self.figures.false_positives,
            "only_second": self.figures.false_negatives,
            **{name: figures[name] for name in ("f1", "pq", "dq", "sq", "aji_plus", "dice")},
            "aji": {"first_as_truth": self.reverse.aji, "second_as_truth": self.figures.aji},
            "cohen": self.kappa.as_dict(),
            "classes": {
                name: {"f1": self.f1_of(name), "cohen": self.kappa_of(name).as_dict()} for name in self.classes
            },
            "table": {"classes": [*self.classes, NONE], "first_by_second": self.table.tolist()},
        }


@dataclass(frozen=True, eq=False)
class Comparison:
    """Several raters' nuclei of one region, put together."""

    raters: tuple[Rater, ...]
    """With their outlines in the region alone."""
    members: NDArray[np.int64]
    """(nuclei, raters) which outline of each rater is of that nucleus; -1 where there is none."""
    pairs: tuple[TwoRaters, ...]
    """Of every two raters."""
    region: shapely.Geometry | None
    """What the comparison was restricted to."""

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """All class names, sorted."""
        return _classes(self.raters)

    @cached_property
    def given(self) -> NDArray[np.int64]:
        """(nuclei, raters) the class that each rater gave, as an index into ``classes``; -1 for "none"."""
        given = np.full(self.members.shape, -1)
        for column, rater in enumerate(self.raters):
            there = self.members[:, column] >= 0
            given[there, column] = _codes(rater, self.classes)[self.members[there, column]]
        return given

    @property
    def by_all(self) -> NDArray[np.bool_]:
        """(nuclei,) whether every rater outlined it."""
        return np.asarray((self.given >= 0).all(axis=1), np.bool_)

    @property
    def agreed(self) -> NDArray[np.bool_]:
        """(nuclei,) whether every rater outlined it and gave it the same class."""
        return self.by_all & np.asarray((self.given == self.given[:, :1]).all(axis=1), np.bool_)

    @property
    def _counts(self) -> NDArray[np.int64]:
        """(nuclei, k + 1) how many raters gave each class, "none" last."""
        return np.stack([(self.given == place).sum(axis=1) for place in (*range(len(self.classes)), -1)], axis=1)

    @property
    def fleiss(self) -> Kappas:
        """Fleiss' kappa of all classes."""
        return self._fleiss(fleiss)

    def fleiss_of(self, name: str) -> Kappas:
        """Return Fleiss' kappa of class ``name``."""
        place = self.classes.index(name)
        return self._fleiss(lambda counts: fleiss_of(counts, place))

    def _fleiss(self, kappa: Callable[[NDArray[np.int64]], Kappa]) -> Kappas:
        return Kappas(kappa(self._counts), kappa(self._counts[self.by_all, :-1]))

    def as_dict(self) -> dict[str, Any]:
        """Return everything but the outlines under stable names."""
        return {
            "raters": [
                {
                    "name": rater.name,
                    "nuclei": len(rater),
                    "classes": {name: int((rater.classes == name).sum()) for name in self.classes},
                }
                for rater in self.raters
            ],
            "region_px2": None if self.region is None else float(shapely.area(self.region)),
            "nuclei": len(self.members),
            "outlined_by_all": int(self.by_all.sum()),
            "agreed": int(self.agreed.sum()),
            "pairs": [pair.as_dict() for pair in self.pairs],
            "fleiss": {
                **self.fleiss.as_dict(),
                "classes": {name: self.fleiss_of(name).as_dict() for name in self.classes},
            },
        }


def compare_raters(raters: Sequence[Rater], region: shapely.Geometry | None = None) -> Comparison:
    """Compare the outlines and classes of two or more ``raters``.

    Parameters
    ----------
    raters : sequence of Rater
        All in one frame.
    region : shapely geometry, optional
        In the same frame. Nuclei count where the mean of their outlines' centroids lies in it.

    Raises
    ------
    EvaluationError
        If there are fewer than two raters, or two have the same name.
    """
    if len(raters) < 2 or len({rater.name for rater in raters}) < len(raters):
        raise EvaluationError("compare two or more raters with different names")
    couples = list(combinations(range(len(raters)), 2))
    met = {both: _met(raters, *both) for both in couples}
    members = same_nuclei([len(rater) for rater in raters], met)
    if region is not None:
        members = members[inside(members, raters, region)]
        raters, members = _restricted(raters, members)
        met = {both: _met(raters, *both) for both in couples}
    classes = _classes(raters)
    pairs = tuple(_two_raters(raters[one], raters[other], met[one, other], classes) for one, other in couples)
    return Comparison(tuple(raters), members, pairs, region)


def _met(raters: Sequence[Rater], one: int, other: int) -> Pairs:
    return polygon_pairs(raters[one].polygons, raters[other].polygons)


def _restricted(raters: Sequence[Rater], members: NDArray[np.int64]) -> tuple[list[Rater], NDArray[np.int64]]:
    """Return the raters with the outlines in ``members`` alone, and ``members`` with their new numbers."""
    kept, renumbered = [], np.full(members.shape, -1)
    for column, rater in enumerate(raters):
        there = members[:, column] >= 0
        index, renumbered[there, column] = np.unique(members[there, column], return_inverse=True)
        kept.append(rater.take(index))
    return kept, renumbered


def _two_raters(first: Rater, second: Rater, met: Pairs, classes: tuple[str, ...]) -> TwoRaters:
    table = np.zeros((len(classes) + 1, len(classes) + 1), np.int64)
    partners = met.index[met.partners]
    codes = [_codes(rater, classes) for rater in (first, second)]
    np.add.at(table, (codes[0][partners[:, 0]], codes[1][partners[:, 1]]), 1)
    table[:-1, -1] = np.bincount(codes[0], minlength=len(classes)) - table[:-1, :-1].sum(axis=1)
    table[-1, :-1] = np.bincount(codes[1], minlength=len(classes)) - table[:-1, :-1].sum(axis=0)
    return TwoRaters(first.name, second.name, agreement(met), agreement(met.reversed()), classes, table)


def _classes(raters: Sequence[Rater]) -> tuple[str, ...]:
    return tuple(sorted({name for rater in raters for name in rater.classes.tolist()}))


def _codes(rater: Rater, classes: tuple[str, ...]) -> NDArray[np.int64]:
    return np.searchsorted(np.array(classes, np.str_), rater.classes).astype(np.int64)
