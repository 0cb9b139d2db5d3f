"""What classes are called in QuPath, and their colours."""

from __future__ import annotations

import colorsys
import hashlib

from pathopipe.errors import GeoJSONError

Colour = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

COLOURS: dict[str, Colour] = {
    "Tumor": (200, 0, 0),
    "Stroma": (150, 200, 150),
    "Immune cells": (160, 90, 160),
    "Necrosis": (50, 50, 50),
    "Other": (255, 200, 0),
    "Positive": (250, 62, 62),
    "Negative": (112, 112, 225),
    "Nucleus": (40, 160, 60),
    "Epithelial": (200, 0, 0),
    "Tissue": (70, 120, 200),
    "Artefact": (110, 110, 110),
    "Not analysed": (230, 60, 200),
}
"""QuPath's own colours for its standard classes, and ours for what we write. QuPath keeps the colour of a class that
its project already has."""


def colour_of(name: str) -> Colour:
    """Return the colour of class ``name``: from the table, else a bright one that depends on the name alone."""
    if name in COLOURS:
        return COLOURS[name]
    hue = int.from_bytes(hashlib.sha256(name.encode("utf-8")).digest()[:4], "big") / 2**32
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.75, 0.85)
    return round(red * 255), round(green * 255), round(blue * 255)


def classification(name: str) -> dict[str, object]:
    """Return what QuPath reads as the class ``name``.

    A colon separates a class from what it is derived from, so "Tumor: Positive" becomes the names Tumor, Positive.

    Raises
    ------
    GeoJSONError
        If the name, or a part of it, is empty or has a line break: QuPath would refuse the whole file.
    """
    names = [part.strip() for part in name.split(":")]
    if not all(names) or len(name.strip().splitlines()) != 1:
        raise GeoJSONError(
            f"QuPath refuses the class name {name!r}: it is empty, has an empty part beside a colon, or a line break; "
            f"rename the model's class"
        )
    known: dict[str, object] = {"name": names[0]} if len(names) == 1 else {"names": names}
    return {**known, "color": colour_of(": ".join(names))}
