"""What a network finds on a held-out image beside what is known of it: only where it is known, and with classes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pathopipe.evaluation import Agreement
from pathopipe.evaluation.agreement import agreement
from pathopipe.evaluation.pairs import label_pairs
from pathopipe.models.train.classes import NOT_ANNOTATED, UNKNOWN, Marks

Labels = NDArray[np.int32]


class Judged(NamedTuple):
    """How well one image was predicted."""

    agreement: Agreement
    right: int
    """Found nuclei that got their true class."""
    classed: int
    """Found nuclei whose true class is known."""


def judged(predicted: Labels, class_id: NDArray[np.uint8], truth: Labels, marks: Marks) -> Judged:
    """Compare nuclei found with true ones; those that mostly lie where nothing is known do not count.

    Parameters
    ----------
    predicted : (h, w) int32
        Nuclei that were found, from 1.
    class_id : (n,) uint8
        Their classes.
    truth : (h, w) int32
    marks : (h, w) uint8
        See :mod:`pathopipe.models.train.classes`.
    """
    unknown = marks == NOT_ANNOTATED
    predicted, truth = _known(predicted, unknown), _known(truth, unknown)
    pairs = label_pairs(predicted, truth)
    mark_of = np.zeros(int(truth.max(initial=0)) + 1, np.uint8)
    mark_of[truth[~unknown]] = marks[~unknown]
    found, true = (np.unique(labels[labels > 0]) for labels in (predicted, truth))
    one, other = pairs.index[pairs.partners].T
    mark = mark_of[true[other]]
    right = class_id[found[one] - 1] + 1 == mark
    return Judged(agreement(pairs), int(right.sum()), int((mark != UNKNOWN).sum()))


def _known(labels: Labels, unknown: NDArray[np.bool_]) -> Labels:
    """Return ``labels`` without those that lie more in ``unknown`` (h, w) than outside."""
    size = np.bincount(labels.ravel())
    hidden = np.bincount(labels[unknown], minlength=len(size))
    return np.where((2 * hidden <= size)[labels], labels, 0).astype(np.int32)
