"""How often detections of a score are right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

BINS = 10
Labels = NDArray[np.int32]


@dataclass(frozen=True)
class Reliability:
    """Scores and how often they are right, in bins of equal width."""

    count: NDArray[np.int64]
    """(bins,) detections."""
    score: NDArray[np.float64]
    """(bins,) mean score; NaN in an empty bin."""
    right: NDArray[np.float64]
    """(bins,) share that is right; NaN in an empty bin."""

    @property
    def error(self) -> float:
        """Expected calibration error (Naeini et al. 2015): mean gap between score and share, weighted by count."""
        filled = self.count > 0
        gaps = np.abs(self.score[filled] - self.right[filled])
        return float((gaps * self.count[filled]).sum() / self.count.sum())


def matched(labels: Labels, truth: Labels, number: int) -> NDArray[np.bool_]:
    """Return (number,) which of the labels 1 … number share more than half of the union with a true object.

    Above one half an object has one partner at most, so nothing has to be assigned.
    """
    ours, theirs = (np.bincount(image.ravel(), minlength=number + 1) for image in (labels, truth))
    both = (labels > 0) & (truth > 0)
    pairs, shared = np.unique(np.stack([labels[both], truth[both]]), axis=1, return_counts=True)
    iou = shared / (ours[pairs[0]] + theirs[pairs[1]] - shared)
    right = np.zeros(number + 1, bool)
    right[pairs[0][iou > 0.5]] = True
    return right[1:]


def reliability(score: NDArray[np.float64], right: NDArray[np.bool_], bins: int = BINS) -> Reliability:
    """Return how often scores are right, in ``bins`` of equal width from 0 to 1; the last one includes 1."""
    place = np.minimum((score * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        means = [np.bincount(place, values, bins) / count for values in (score, right.astype(float))]
    return Reliability(count, *means)


def wilson(share: float, count: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Wilson 1927)."""
    z2 = 1.96**2
    middle = (share + z2 / (2 * count)) / (1 + z2 / count)
    reach = 1.96 / (1 + z2 / count) * (share * (1 - share) / count + z2 / (4 * count**2)) ** 0.5
    return max(middle - reach, 0.0), min(middle + reach, 1.0)
