"""How well predicted nuclei agree with the truth: PQ, AJI, F1 and AP, from label images or polygons.

All figures come from the areas of intersection and union of pairs of objects, so label images and polygons share one
computation. A figure that does not exist, such as the F1 of an image without any object, is None, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.errors import PathopipeError
from pathopipe.geometry import Outlines

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
"""IoU above which a pair counts as found, for AP."""


class EvaluationError(PathopipeError, ValueError):
    """Prediction and truth cannot be compared."""


@dataclass(frozen=True)
class Agreement:
    """How one prediction, or several pooled, agrees with its truth."""

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
    def precision(self) -> float | None:
        """Share of the predicted objects that have a partner."""
        return _ratio(self.found[0], self.predicted)

    @property
    def recall(self) -> float | None:
        """Share of the true objects that have a partner."""
        return _ratio(self.found[0], self.truth)

    @property
    def f1(self) -> float | None:
        """F1 at IoU > 0.5: 2 TP / (2 TP + FP + FN)."""
        return _ratio(2 * self.found[0], self.truth + self.predicted)

    @property
    def dq(self) -> float | None:
        """Detection quality (Kirillov et al. 2019, "Panoptic segmentation"), the same as F1 at IoU > 0.5."""
        return self.f1

    @property
    def sq(self) -> float | None:
        """Segmentation quality (Kirillov et al. 2019): mean IoU of the pairs above 0.5."""
        return _ratio(self.iou_sum, self.found[0])

    @property
    def pq(self) -> float | None:
        """Panoptic quality (Kirillov et al. 2019): DQ × SQ; 0 where there are objects and no pair."""
        return _ratio(2 * self.iou_sum, self.truth + self.predicted)

    @property
    def aji(self) -> float | None:
        """Aggregated Jaccard index (Kumar et al. 2017, "A dataset and a technique for generalized nuclear segmentation
        for computational pathology").

        Each true object takes the predicted one of highest IoU; intersections over unions, and the predicted objects
        that nobody took are added to the unions. As published, two true objects may take the same predicted one.
        """  # noqa: D205 - the title of the source is long
        return _ratio(self.aji_intersection, self.aji_union)

    def ap(self, threshold: float) -> float | None:
        """Average precision as the 2018 Data Science Bowl defined it (Caicedo et al. 2019): TP / (TP + FP + FN)."""
        found = self.found[THRESHOLDS.index(threshold)]
        return _ratio(found, self.truth + self.predicted - found)

    def as_dict(self) -> dict[str, Any]:
        """Return all figures under stable names; None where a figure does not exist."""
        return {
            "truth": self.truth,
            "predicted": self.predicted,
            "true_positives": self.true_positives,
            "false_positives": self.false_positives,
            "false_negatives": self.false_negatives,
            **{name: getattr(self, name) for name in ("precision", "recall", "f1", "pq", "dq", "sq", "aji")},
            **{f"ap_{threshold:g}": self.ap(threshold) for threshold in THRESHOLDS},
        }


@dataclass(frozen=True)
class EvaluationResult:
    """Several images compared."""

    images: dict[str, Agreement]
    """File stem to agreement, sorted."""

    @property
    def pooled(self) -> Agreement:
        """All objects of all images counted together."""
        return pooled(self.images.values())

    def mean(self, name: str) -> float | None:
        """Return the mean over the images of a figure such as "pq", without the images where it does not exist."""
        values = [value for image in self.images.values() if (value := image.as_dict()[name]) is not None]
        return float(np.mean(values)) if values else None

    def as_dict(self) -> dict[str, Any]:
        """Return {"images": {stem: figures}, "pooled": figures, "mean": {f1, pq, dq, sq, aji}}."""
        return {
            "images": {stem: image.as_dict() for stem, image in self.images.items()},
            "pooled": self.pooled.as_dict(),
            "mean": {name: self.mean(name) for name in ("f1", "pq", "dq", "sq", "aji")},
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
    )


def evaluate_labels(predicted: NDArray[np.integer], truth: NDArray[np.integer]) -> Agreement:
    """Compare two label images (h, w): 0 is background, every other value one object.

    Raises
    ------
    EvaluationError
        If their shapes differ or they are no label images.
    """
    for name, labels in (("prediction", predicted), ("truth", truth)):
        if labels.ndim != 2 or labels.dtype.kind not in "iub":
            raise EvaluationError(f"the {name} is no label image: shape {labels.shape}, type {labels.dtype}")
        if labels.size and labels.min() < 0:
            raise EvaluationError(
                f"the {name} has the label {labels.min()}; labels are 0 for background, then positive"
            )
    if predicted.shape != truth.shape:
        raise EvaluationError(f"the prediction has shape {predicted.shape}, the truth {truth.shape}")
    ours, theirs = (np.unique(labels, return_inverse=True) for labels in (predicted, truth))
    one, other = (inverse.ravel() for _, inverse in (ours, theirs))
    # Only pairs that meet are counted: a table of all with all would not fit for a whole slide.
    joint, overlap = np.unique(one * len(theirs[0]) + other, return_counts=True)
    pairs = np.stack(np.divmod(joint, len(theirs[0])), axis=1)
    met = (ours[0][pairs[:, 0]] != 0) & (theirs[0][pairs[:, 1]] != 0)
    # Where there is background its number is 0, and the objects' move down by one.
    shift = [int((ids == 0).any()) for ids in (ours[0], theirs[0])]
    areas = [
        np.bincount(inverse, minlength=1)[by:].astype(float) for inverse, by in zip((one, other), shift, strict=True)
    ]
    return _agreement(pairs[met] - shift, overlap[met].astype(float), areas[0], areas[1])


def evaluate_outlines(predicted: Outlines, truth: Outlines) -> Agreement:
    """Compare two sets of outlines in the same frame, by the areas of their polygons."""
    ours, theirs = _polygons(predicted), _polygons(truth)
    pairs = shapely.STRtree(theirs).query(ours, predicate="intersects").T
    overlap = shapely.area(shapely.intersection(ours[pairs[:, 0]], theirs[pairs[:, 1]]))
    pairs, overlap = pairs[overlap > 0], overlap[overlap > 0]
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return _agreement(pairs[order], overlap[order], shapely.area(ours), shapely.area(theirs))


def _agreement(
    pairs: NDArray[np.integer], overlap: NDArray[np.float64], ours: NDArray[np.float64], theirs: NDArray[np.float64]
) -> Agreement:
    """Return the agreement from the overlaps of ``pairs`` (m, 2: predicted, true) and the areas of the objects."""
    union = ours[pairs[:, 0]] + theirs[pairs[:, 1]] - overlap
    iou = overlap / union
    matched = _one_to_one(pairs, iou)
    best = np.full(len(theirs), -1)
    for pair in np.argsort(iou, kind="stable"):
        best[pairs[pair, 1]] = pair
    taken = best[best >= 0]
    lonely = np.ones(len(ours), bool)
    lonely[pairs[taken, 0]] = False
    return Agreement(
        len(theirs),
        len(ours),
        tuple(int((matched > threshold).sum()) for threshold in THRESHOLDS),
        float(matched[matched > THRESHOLDS[0]].sum()),
        float(overlap[taken].sum()),
        float(union[taken].sum() + ours[lonely].sum() + theirs[best < 0].sum()),
    )


def _one_to_one(pairs: NDArray[np.integer], iou: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the IoU of the pairs that are left when every object keeps its best partner only.

    Objects of a label image do not overlap, so above 0.5 a pair is unique anyway; polygons may overlap.
    """
    used: tuple[set[int], set[int]] = (set(), set())
    kept = []
    candidates = np.flatnonzero(iou > THRESHOLDS[0])
    for pair in candidates[np.argsort(-iou[candidates], kind="stable")]:
        one, other = int(pairs[pair, 0]), int(pairs[pair, 1])
        if one not in used[0] and other not in used[1]:
            used[0].add(one)
            used[1].add(other)
            kept.append(iou[pair])
    return np.array(kept, float)


def _polygons(outlines: Outlines) -> NDArray[np.object_]:
    polygons = outlines.to_shapely()
    broken = ~shapely.is_valid(polygons)
    polygons[broken] = shapely.make_valid(polygons[broken])
    return polygons


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
