"""What is unusual about a slide, told to the user before hours are spent on it."""

from __future__ import annotations

from collections.abc import Sequence

from pathopipe.geometry import Box
from pathopipe.slide.base import Level

SLOW_PIXELS = 100_000_000
"""A slide larger than this with one level only has no small picture to find tissue on."""
HUGE_SIDE = 300_000
"""Longer sides than any glass slide gives at 40×."""


def remarks(levels: Sequence[Level], objective: float | None, bounds: Box | None, properties: str = "") -> list[str]:
    """Return sentences on what is unusual in the facts that every reader gives.

    Parameters
    ----------
    levels : sequence of Level
        Finest first.
    objective : float or None
        Nominal magnification.
    bounds : Box or None
        Non-empty region in level-0 pixels.
    properties : str
        All metadata as one text, in which signs of fluorescence and JPEG 2000 are looked for.
    """
    said = []
    full = levels[0]
    if len(levels) == 1 and full.width * full.height > SLOW_PIXELS:
        said.append("There is only one level: the overview is made from full resolution, which is slow.")
    if max(full.width, full.height) > HUGE_SIDE:
        said.append(f"The slide is very large: {full.width} × {full.height} pixels.")
    if bounds is not None and bounds.area < full.width * full.height:
        said.append(
            f"Only {bounds.width} × {bounds.height} pixels at ({bounds.x0}, {bounds.y0}) were scanned; "
            "QuPath shows that part alone."
        )
    if objective is None:
        said.append("The objective power is not stated.")
    if looks_fluorescent(properties):
        said.append("The metadata name an excitation filter: this looks like fluorescence, not a stained slide.")
    if "J2K" in properties or "JPEG 2000" in properties:
        said.append("The pixels are JPEG 2000, which decodes several times slower than JPEG.")
    return said


def looks_fluorescent(properties: str) -> bool:
    """Return whether a slide's metadata speak of fluorescence."""
    return any(sign in properties for sign in ("ExcitationName=", "ExcitationWaveLength=", "<ExcitationFilter"))
