"""Tiles that reach beyond the slide: mirrored before the model, cut back after it.

A white margin would be an edge that the tissue does not have: the model sees half nuclei and dark rims along it. So
the pixels beyond the slide are its own, mirrored, and what is found is cut at the slide's border (docs/adr/0007).
"""

from __future__ import annotations

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.geometry import Box, Outlines, snapped

_LEAST_INSIDE = 0.3
"""Share of its area inside the slide from which an outline stays. A nucleus cut by the border grows together with its
mirror image and has half of itself inside; one beside its own mirror image has all or nothing."""


def mirrored(pixels: NDArray[np.uint8], inside: Box, read: Box) -> NDArray[np.uint8]:
    """Return the pixels of ``read``, those beyond the slide mirrored at its border.

    Parameters
    ----------
    pixels : (h, w, 3) uint8
        The pixels of ``inside``.
    inside : Box
        The part of ``read`` that is on the slide, in working pixels.
    read : Box
        What the model shall see, in working pixels.
    """
    if inside == read:
        return pixels
    top, left, below, right = inside.y0 - read.y0, inside.x0 - read.x0, read.y1 - inside.y1, read.x1 - inside.x1
    padded = cv2.copyMakeBorder(pixels, top, below, left, right, cv2.BORDER_REFLECT)
    return np.asarray(padded, np.uint8)


def cut_at_border(outlines: Outlines, inside: Box, read: Box) -> tuple[Outlines, NDArray[np.bool_]]:
    """Return what of ``outlines`` is on the slide, and (n,) which of them that are, in the same order.

    Parameters
    ----------
    outlines : Outlines
        As predicted on the mirrored tile, in pixels of ``read``.
    inside, read : Box
        As in :func:`mirrored`.

    Returns
    -------
    Outlines, (n,) bool
        Outlines end at the border; those that are less than 0.3 inside are gone.
    """
    kept = np.ones(len(outlines), bool)
    low = np.array([inside.x0 - read.x0, inside.y0 - read.y0], np.float32)
    high = np.array([inside.x1 - read.x0, inside.y1 - read.y0], np.float32)
    bounds = outlines.bounds()
    crossing = np.flatnonzero((bounds[:, :2] < low).any(axis=1) | (bounds[:, 2:] > high).any(axis=1))
    if inside == read or not len(crossing):
        return outlines, kept
    whole = shapely.make_valid(outlines.take(crossing).to_shapely())
    parts = shapely.intersection(whole, shapely.box(*low, *high))
    area = shapely.area(parts)
    stays = (area > 0) & (area >= _LEAST_INSIDE * shapely.area(whole))
    rings = [outlines.ring(index) for index in range(len(outlines))]
    for index, part in zip(crossing[stays], parts[stays], strict=True):
        rings[index] = _largest_ring(part)
    kept[crossing[~stays]] = False
    return Outlines.of(rings).take(kept), kept


def _largest_ring(part: shapely.Geometry) -> NDArray[np.float32]:
    """Return the outer ring (k, 2), open, of the largest polygon in ``part``."""
    pieces = [piece for piece in shapely.get_parts(part) if piece.geom_type == "Polygon"]
    largest = max(pieces, key=lambda piece: piece.area)
    return snapped(shapely.get_coordinates(largest.exterior)[:-1]).astype(np.float32)
