"""The part of a slide that was scanned, as OpenSlide and tiffslide name it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pathopipe.geometry import Box
from pathopipe.slide.scale import number


def scanned(properties: Mapping[str, Any], prefix: str) -> Box | None:
    """Return the box (level-0 pixels) that ``<prefix>.bounds-*`` state, or None where they do not."""
    keys = ("bounds-x", "bounds-y", "bounds-width", "bounds-height")
    values = [number(properties.get(f"{prefix}.{key}")) for key in keys]
    if None in values:
        return None
    x, y, width, height = (int(value) for value in values if value is not None)
    return Box(x, y, x + width, y + height)
