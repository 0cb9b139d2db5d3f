"""From class probabilities of pixels to the class of a nucleus. No torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CLASS_PROBABILITY = "class_probability"
"""Name of the measurement of models with several classes: the mean probability of the class that was given."""


def classified(
    probabilities: NDArray[np.float32], regions: NDArray[np.floating], region: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return class and probability of every nucleus: the class of the largest mean over its region.

    All pixels of the region count alike. Of two classes that are equally probable the first is given.

    Parameters
    ----------
    probabilities : (classes, h, w) float32
        Summing to 1 at every pixel.
    regions : (h, w)
        The region of every pixel, from 1; 0 for the background.
    region : (n,) int64
        The region of each nucleus.

    Returns
    -------
    (n,) uint8, (n,) float32
        Index of the class, and its mean probability, 0 to 1.
    """
    if not len(region):
        return np.zeros(0, np.uint8), np.zeros(0, np.float32)
    at = np.flatnonzero(regions)
    number = regions.flat[at].astype(np.int64)
    last = int(max(number.max(initial=0), region.max()))
    sums = [np.bincount(number, each.flat[at], last + 1)[region] for each in probabilities]
    counts = np.maximum(np.bincount(number, minlength=last + 1)[region], 1)
    means = np.stack(sums, axis=1) / counts[:, None]
    class_id = means.argmax(axis=1)
    return class_id.astype(np.uint8), np.take_along_axis(means, class_id[:, None], 1)[:, 0].astype(np.float32)
