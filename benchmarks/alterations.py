"""What a slide may suffer, done to an image: another laboratory's stains, blur, JPEG, light, a misstated resolution."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray
from stains import StainError, Stains, between, estimate_stains, recoloured

Rgb = NDArray[np.uint8]
Alteration = Callable[[Rgb, float], tuple[Rgb, float]]
"""Takes an image and its µm per pixel, returns the altered image and the µm per pixel that are stated of it."""


@dataclass(frozen=True)
class Series:
    """Alterations of one kind, from weak to strong."""

    name: str
    axis: str
    """What ``values`` are, with the unit."""
    unaltered: float
    """The value at which nothing is changed."""
    values: tuple[float, ...]
    of: Callable[[float], tuple[Alteration, ...]]
    """Value to the ways of doing it, over which the mean is taken."""


def all_series(laboratories: tuple[Stains, ...]) -> Iterator[Series]:
    """Yield every series that is measured; ``laboratories`` are the stain vectors to recolour with."""
    yield Series(
        "stain vectors",
        "part of the way to another laboratory",
        0.0,
        (0.5, 1.0, 1.5),
        lambda part: tuple(partial(restained, target=target, part=part) for target in laboratories),
    )
    yield Series("haematoxylin", "amount, factor", 1.0, (0.5, 0.7, 1.4, 2.0), _one(_haematoxylin))
    yield Series("eosin", "amount, factor", 1.0, (0.25, 0.5, 1.5, 2.0), _one(_eosin))
    scales = (0.5, 0.6, 0.7, 0.85, 1.15, 1.3, 1.6, 2.0)
    yield Series("scale error", "µm/px stated / true", 1.0, scales, _one(misstated))
    yield Series("blur", "standard deviation, µm", 0.0, (0.25, 0.5, 0.75, 1.0, 1.5), _one(blurred))
    yield Series("JPEG", "quality", 100.0, (90.0, 70.0, 50.0, 30.0), _one(compressed))
    yield Series("brightness", "light, factor", 1.0, (0.5, 0.7, 0.85, 1.1, 1.2), _one(lit))


def _one(alter: Callable[[Rgb, float, float], tuple[Rgb, float]]) -> Callable[[float], tuple[Alteration, ...]]:
    return lambda value: (lambda rgb, mpp: alter(rgb, mpp, value),)


def restained(
    rgb: Rgb, mpp: float, target: Stains, part: float, strength: tuple[float, float] = (1.0, 1.0)
) -> tuple[Rgb, float]:
    """Recolour ``part`` of the way to the stain vectors ``target``; an image of one stain only stays as it is."""
    try:
        own = estimate_stains(rgb)
    except StainError:
        return rgb, mpp
    return recoloured(rgb, own, between(own, target, part), strength), mpp


def _haematoxylin(rgb: Rgb, mpp: float, factor: float) -> tuple[Rgb, float]:
    return restained(rgb, mpp, np.zeros((2, 3)), 0.0, (factor, 1.0))


def _eosin(rgb: Rgb, mpp: float, factor: float) -> tuple[Rgb, float]:
    return restained(rgb, mpp, np.zeros((2, 3)), 0.0, (1.0, factor))


def misstated(rgb: Rgb, mpp: float, factor: float) -> tuple[Rgb, float]:
    """State ``factor`` times the true resolution."""
    return rgb, mpp * factor


def blurred(rgb: Rgb, mpp: float, sigma_um: float) -> tuple[Rgb, float]:
    """Blur by a Gaussian of ``sigma_um``, as slightly out of focus."""
    return np.asarray(cv2.GaussianBlur(rgb, (0, 0), sigma_um / mpp), np.uint8), mpp


def compressed(rgb: Rgb, mpp: float, quality: float) -> tuple[Rgb, float]:
    """Compress as JPEG, as most scanners do, at the image's own resolution."""
    encoded = cv2.imencode(".jpg", rgb[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(quality)])[1]
    return np.ascontiguousarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR)[..., ::-1]), mpp


def lit(rgb: Rgb, mpp: float, factor: float) -> tuple[Rgb, float]:
    """Multiply the light; what is brighter than the sensor's white is cut off there."""
    return np.clip(np.rint(rgb * factor), 0, 255).astype(np.uint8), mpp
