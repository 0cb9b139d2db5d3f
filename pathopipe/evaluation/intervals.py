"""How far a figure would move if other images had been drawn: bootstrap over the images.

Nuclei of one image resemble each other, so images are drawn, not nuclei. The interval is the percentile one of Efron
(1979, "Bootstrap methods: another look at the jackknife"; Efron and Tibshirani 1993, chapter 13). With few images it is
too narrow, and it says nothing on kinds of images that are not among them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathopipe.evaluation.agreement import Agreement

CONFIDENCE = 0.95
DRAWS = 2000
SEED = 0
FEWEST_IMAGES = 3
"""With fewer images there are hardly any different samples of them, so there is no interval."""
LEAST_DEFINED = 0.95
"""Part of the samples in which a figure must exist for an interval."""

Interval = tuple[float, float]


@dataclass(frozen=True)
class Intervals:
    """95 % intervals of the figures of several images."""

    pooled: dict[str, Interval] = field(default_factory=dict)
    """Of the figures over all objects together, by name."""
    mean: dict[str, Interval] = field(default_factory=dict)
    """Of the means over the images."""
    reasons: dict[str, str] = field(default_factory=dict)
    """Why an interval is absent: by figure as "pooled.sq" or "mean.sq", or under "all"."""

    def as_dict(self) -> dict[str, Any]:
        """Return the intervals as [low, high] and how they were made."""
        return {
            "confidence": CONFIDENCE,
            "method": "percentile bootstrap over images",
            "draws": DRAWS,
            "seed": SEED,
            "pooled": {name: list(interval) for name, interval in self.pooled.items()},
            "mean": {name: list(interval) for name, interval in self.mean.items()},
            "reasons": self.reasons,
        }


def bootstrap(images: Sequence[Agreement]) -> Intervals:
    """Return the intervals of all figures over ``images``; the same images in the same order give the same ones."""
    if reason := _too_few(images):
        return Intervals(reasons={"all": reason})
    return _intervals(images, *_samples(images))


def bootstrap_difference(images: Sequence[Agreement], baseline: Sequence[Agreement]) -> Intervals:
    """Return the intervals of the differences, figure less that of ``baseline``.

    Paired: both are of the same images in the same order, and each sample takes the same images of both. So what makes
    an image hard for both does not widen the interval.
    """
    if reason := _too_few(images):
        return Intervals(reasons={"all": reason})
    ours, theirs = _samples(images), _samples(baseline)
    return _intervals(images, ours[0] - theirs[0], ours[1] - theirs[1])


def _too_few(images: Sequence[Agreement]) -> str:
    if len(images) >= FEWEST_IMAGES:
        return ""
    counted = "1 image is" if len(images) == 1 else f"{len(images)} images are"
    return f"{counted} too few for an interval: at least {FEWEST_IMAGES}"


def _samples(images: Sequence[Agreement]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the pooled figures and the means of each sample of the images, (draws, f) each; NaN where there is none.

    The samples depend on nothing but the number of images.
    """
    parts = np.array([list(image.fractions.values()) for image in images], np.float64)
    drawn = np.random.default_rng(SEED).integers(0, len(images), (DRAWS, len(images)))
    times = np.stack([np.bincount(sample, minlength=len(images)) for sample in drawn]).astype(np.float64)
    sums = np.einsum("si,ifp->sfp", times, parts)
    exists = parts[..., 1] > 0
    own = np.where(exists, _ratio(parts), 0)
    return _ratio(sums), _ratio(np.stack([times @ own, times @ exists], axis=-1))


def _ratio(fractions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (..., f) from (..., f, 2); NaN where the denominator is 0."""
    none = np.full(fractions.shape[:-1], np.nan)
    ratio: NDArray[np.float64] = np.divide(fractions[..., 0], fractions[..., 1], out=none, where=fractions[..., 1] > 0)
    return ratio


def _intervals(images: Sequence[Agreement], pooled: NDArray[np.float64], mean: NDArray[np.float64]) -> Intervals:
    reasons: dict[str, str] = {}
    names = list(images[0].fractions)
    return Intervals(_bounds(pooled, names, "pooled", reasons), _bounds(mean, names, "mean", reasons), reasons)


def _bounds(samples: NDArray[np.float64], names: list[str], of: str, reasons: dict[str, str]) -> dict[str, Interval]:
    tail = 50 * (1 - CONFIDENCE)
    found: dict[str, Interval] = {}
    for name, values in zip(names, samples.T, strict=True):
        values = values[np.isfinite(values)]
        if len(values) < LEAST_DEFINED * len(samples):
            reasons[f"{of}.{name}"] = f"it exists in {len(values)} of {len(samples)} samples of the images only"
            continue
        low, high = np.percentile(values, [tail, 100 - tail])
        found[name] = float(low), float(high)
    return found
