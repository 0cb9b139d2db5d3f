"""How well predicted nuclei agree with the truth: PQ, AJI, AJI+, Dice, F1 and AP, from label images or polygons.

All figures come from the areas of intersection and union of pairs of objects, so label images and polygons share one
computation. A figure that does not exist, such as the F1 of an image without any object, is None, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathopipe.evaluation.kinds import FALSE_ALARMS, MISSES, Kind, counts, kinds
from pathopipe.evaluation.pairs import Pairs, label_pairs, polygon_pairs, valid_polygons
from pathopipe.geometry import Outlines

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""IoU above which a pair counts as found, for AP."""


@dataclass(frozen=True)
class Agreement:
    """How one prediction, or several pooled, agrees with its truth.

    Every figure is a fraction of two sums over the objects, see :attr:`fractions`. So pooling is adding, and a sample
    of images costs no more than sums.
    """

    truth: int
    """Objects in the truth."""
    predicted: int
    """Objects predicted."""
    found: tuple[int, ...]
    """Pairs with an IoU above each of ``THRESHOLDS``; no object is in two pairs."""
    iou_sum: float
    """Sum of the IoU of the pairs above 0.5."""
    aji_intersection: float
    """Numerator of the AJI."""
    aji_union: float
    """Denominator of the AJI."""
    aji_plus_intersection: float
    """Numerator of the AJI+."""
    aji_plus_union: float
    """Denominator of the AJI+."""
    covered_truth: float
    """Square pixels that the truth covers."""
    covered_predicted: float
    """Square pixels that the prediction covers."""
    covered_both: float
    """Square pixels that both cover."""
    truth_kinds: tuple[int, ...]
    """True objects by what became of them, in the order of :class:`~pathopipe.evaluation.kinds.Kind`."""
    predicted_kinds: tuple[int, ...]
    """Predicted objects by what they are in the truth, in the same order."""

    @property
    def true_positives(self) -> int:
        """Pairs with an IoU above 0.5."""
        return self.found[0]

    @property
    def false_positives(self) -> int:
        """Predicted objects without a partner."""
        return self.predicted - self.found[0]

    @property
    def false_negatives(self) -> int:
        """True objects without a partner."""
        return self.truth - self.found[0]

    @property
    def fractions(self) -> dict[str, tuple[float, float]]:
        """Figure to (numerator, denominator), in the order of the files; a denominator of 0 means that there is none.

        The properties of the same names say what each figure is and where it comes from.
        """
        found, objects = self.found[0], self.truth + self.predicted
        return {
            "precision": (found, self.predicted),
            "recall": (found, self.truth),
            "f1": (2 * found, objects),
            "pq": (2 * self.iou_sum, objects),
            "dq": (2 * found, objects),
            "sq": (self.iou_sum, found),
            "aji": (self.aji_intersection, self.aji_union),
            "aji_plus": (self.aji_plus_intersection, self.aji_plus_union),
            "dice": (2 * self.covered_both, self.covered_truth + self.covered_predicted),
            **{f"ap_{t:g}": (count, objects - count) for t, count in zip(THRESHOLDS, self.found, strict=True)},
        }

    def figure(self, name: str) -> float | None:
        """Return the figure called ``name`` in :attr:`fractions`; None where it does not exist."""
        part, whole = self.fractions[name]
        return part / whole if whole else None

    @property
    def precision(self) -> float | None:
        """Share of the predicted objects that have a partner."""
        return self.figure("precision")

    @property
    def recall(self) -> float | None:
        """Share of the true objects that have a partner."""
        return self.figure("recall")

    @property
    def f1(self) -> float | None:
        """F1 at IoU > 0.5: 2 TP / (2 TP + FP + FN) (van Rijsbergen 1979, "Information retrieval")."""
        return self.figure("f1")

    @property
    def dq(self) -> float | None:
        """Detection quality (Kirillov et al. 2019, "Panoptic segmentation"), the same as F1 at IoU > 0.5."""
        return self.figure("dq")

    @property
    def sq(self) -> float | None:
        """Segmentation quality (Kirillov et al. 2019): mean IoU of the pairs above 0.5."""
        return self.figure("sq")

    @property
    def pq(self) -> float | None:
        """Panoptic quality (Kirillov et al. 2019): DQ × SQ; 0 where there are objects and no pair."""
        return self.figure("pq")

    @property
    def aji(self) -> float | None:
        """Aggregated Jaccard index (Kumar et al. 2017, "A dataset and a technique for generalized nuclear segmentation
        for computational pathology").

        Each true object takes the predicted one of highest IoU; intersections over unions, and the predicted objects
        that nobody took are added to the unions. As published, two true objects may take the same predicted one.
        """  # noqa: D205 - the title of the source is long
        return self.figure("aji")

    @property
    def aji_plus(self) -> float | None:
        """AJI with one-to-one partners, called AJI+ in the code published with Graham et al. (2019, "Hover-Net").

        Partners are those of the assignment with the largest sum of IoU; the objects without one are added to the
        unions. Where several have that sum, it is the figure of one of them. Unlike the AJI it does not
        punish a wrong pair twice, and does not care which of the two is the truth.
        """
        return self.figure("aji_plus")

    @property
    def dice(self) -> float | None:
        """Dice coefficient (Dice 1945) of the areas covered by any object: 2 |A and B| / (|A| + |B|).

        It knows no objects: nuclei that are merged or split cost nothing.
        """
        return self.figure("dice")

    def ap(self, threshold: float) -> float | None:
        """Average precision as the 2018 Data Science Bowl defined it (Caicedo et al. 2019): TP / (TP + FP + FN)."""
        return self.figure(f"ap_{THRESHOLDS[THRESHOLDS.index(threshold)]:g}")

    @property
    def misses(self) -> dict[str, int]:
        """What became of the true objects without a partner, to how many: they add up to the false negatives."""
        return {name: self.truth_kinds[kind] for kind, name in MISSES.items()}

    @property
    def false_alarms(self) -> dict[str, int]:
        """What the predicted objects without a partner are, to how many: they add up to the false positives."""
        return {name: self.predicted_kinds[kind] for kind, name in FALSE_ALARMS.items()}

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under stable names; None where a figure does not exist."""
        return {
            "truth": self.truth,
            "predicted": self.predicted,
            "true_positives": self.true_positives,
            "false_positives": self.false_positives,
            "false_negatives": self.false_negatives,
            **{f"misses_{name}": count for name, count in self.misses.items()},
            **{f"false_alarms_{name}": count for name, count in self.false_alarms.items()},
            **{name: part / whole if whole else None for name, (part, whole) in self.fractions.items()},
        }


def pooled(agreements: Iterable[Agreement]) -> Agreement:
    """Return the agreement over all objects of all ``agreements``."""
    parts = list(agreements)
    return Agreement(
        sum(part.truth for part in parts),
        sum(part.predicted for part in parts),
        tuple(sum(part.found[index] for part in parts) for index in range(len(THRESHOLDS))),
        sum(part.iou_sum for part in parts),
        sum(part.aji_intersection for part in parts),
        sum(part.aji_union for part in parts),
        sum(part.aji_plus_intersection for part in parts),
        sum(part.aji_plus_union for part in parts),
        sum(part.covered_truth for part in parts),
        sum(part.covered_predicted for part in parts),
        sum(part.covered_both for part in parts),
        tuple(sum(part.truth_kinds[kind] for part in parts) for kind in Kind),
        tuple(sum(part.predicted_kinds[kind] for part in parts) for kind in Kind),
    )


def evaluate_labels(predicted: NDArray[np.integer], truth: NDArray[np.integer]) -> Agreement:
    """Compare two label images (h, w): 0 is background, every other value one object.

    Raises
    ------
    EvaluationError
        If their shapes differ or they are no label images.
    """
    return agreement(label_pairs(predicted, truth))


def evaluate_outlines(predicted: Outlines, truth: Outlines) -> Agreement:
    """Compare two sets of outlines in the same frame, by the areas of their polygons."""
    return agreement(polygon_pairs(valid_polygons(predicted), valid_polygons(truth)))


def agreement(pairs: Pairs) -> Agreement:
    """Return how the first set of ``pairs``, the prediction, agrees with the second, the truth."""
    matched = pairs.iou[pairs.partners]
    best = np.full(len(pairs.second), -1)
    order = np.argsort(pairs.iou, kind="stable")
    best[pairs.index[order, 1]] = order  # of several the last is kept: the highest IoU
    aji = _aggregated(pairs, best[best >= 0])
    aji_plus = _aggregated(pairs, pairs.assigned)
    predicted_kinds, truth_kinds = kinds(pairs)
    return Agreement(
        len(pairs.second),
        len(pairs.first),
        tuple(int((matched > threshold).sum()) for threshold in THRESHOLDS),
        float(matched.sum()),
        *aji,
        *aji_plus,
        covered_truth=pairs.covered[1],
        covered_predicted=pairs.covered[0],
        covered_both=pairs.covered[2],
        truth_kinds=counts(truth_kinds),
        predicted_kinds=counts(predicted_kinds),
    )


def _aggregated(pairs: Pairs, taken: NDArray[np.integer]) -> tuple[float, float]:
    """Return the intersection and union over the ``taken`` pairs, objects in none of them added to the union."""
    lonely = [np.ones(len(areas), np.bool_) for areas in (pairs.first, pairs.second)]
    for side in (0, 1):
        lonely[side][pairs.index[taken, side]] = False
    alone = pairs.first[lonely[0]].sum() + pairs.second[lonely[1]].sum()
    return float(pairs.overlap[taken].sum()), float(pairs.union[taken].sum() + alone)
