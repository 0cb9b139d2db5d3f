"""Colours for the classes of one model, such that no two look alike."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

from pathopipe.annotations.colours import COLOURS, Colour, colour_of

_ALIKE = 90.0
"""Distance in RGB (0 to 255 each) below which two colours are hard to tell apart as thin outlines."""
_HUES = 24


def palette(names: Sequence[str]) -> dict[str, Colour]:
    """Return a colour for each of the classes ``names``.

    It is that of :func:`pathopipe.annotations.colours.colour_of` unless an earlier class has one like it; QuPath's
    standard classes choose first. The same names in the same order give the same colours. With many classes, more
    than about twelve, some will be alike.
    """
    chosen: dict[str, Colour] = {}
    for name in sorted(names, key=lambda name: name not in COLOURS):
        own = colour_of(name)
        if chosen and _nearest(own, chosen) < _ALIKE:
            own = max(_others(own), key=lambda colour: _nearest(colour, chosen))
        chosen[name] = own
    return {name: chosen[name] for name in names}


def _others(colour: Colour) -> list[Colour]:
    """Return colours all around the wheel, beginning at the hue of ``colour``, bright and dark."""
    hue = colorsys.rgb_to_hsv(*(part / 255 for part in colour))[0]
    found = []
    for step in range(_HUES):
        for value in (0.85, 0.5):
            red, green, blue = colorsys.hsv_to_rgb((hue + step / _HUES) % 1, 0.85, value)
            found.append((round(red * 255), round(green * 255), round(blue * 255)))
    return found


def _nearest(colour: Colour, chosen: dict[str, Colour]) -> float:
    """Return the distance of ``colour`` to the nearest of those ``chosen``."""
    return float(min(sum((a - b) ** 2 for a, b in zip(colour, other, strict=True)) for other in chosen.values()) ** 0.5)
