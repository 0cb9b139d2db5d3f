"""A part of a drawn slide as arrays, for tests and for training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pathopipe.geometry import Box
from pathopipe.synth.block import draw_block
from pathopipe.synth.nuclei import Nuclei
from pathopipe.synth.spec import BLOCK_PX, DrawnRegion, SynthSpec


def draw_region(spec: SynthSpec, box: Box) -> DrawnRegion:
    """Draw a part of the slide of ``spec``, with its truth.

    Parameters
    ----------
    spec : SynthSpec
        The slide.
    box : Box
        In level-0 pixels, inside the slide.

    Raises
    ------
    ValueError
        If ``box`` is empty or not inside the slide.
    """
    if box.area <= 0 or not Box(0, 0, spec.width, spec.height).contains(box):
        raise ValueError(f"{box} is not a part of a slide of {spec.width} × {spec.height} px")
    rgb = np.empty((box.height, box.width, 3), np.uint8)
    labels = np.zeros((box.height, box.width), np.int32)
    known = Nuclei.none()
    for row in range(box.y0 // BLOCK_PX, -(-box.y1 // BLOCK_PX)):
        for col in range(box.x0 // BLOCK_PX, -(-box.x1 // BLOCK_PX)):
            block = draw_block(spec, row, col)
            part = block.box.clipped(box)
            there, inside = _slices(part, box), _slices(part, block.box)
            rgb[there] = block.rgb[inside]
            if block.nuclei is not None:
                known, places = _joined(known, block.nuclei)
                labels[there] = np.concatenate([[0], places + 1])[block.labels[inside]]
    shown = np.flatnonzero(np.bincount(labels.ravel(), minlength=len(known) + 1)[1:])
    number = np.zeros(len(known) + 1, np.int32)
    number[shown + 1] = np.arange(1, len(shown) + 1)
    nuclei = known.take(shown)
    return DrawnRegion(rgb, number[labels], nuclei.outlines(spec.seed), nuclei.class_id)


def _slices(part: Box, whole: Box) -> tuple[slice, slice]:
    """Return where ``part`` lies in an array of ``whole``."""
    x0, y0 = part.x0 - whole.x0, part.y0 - whole.y0
    return slice(y0, y0 + part.height), slice(x0, x0 + part.width)


def _joined(known: Nuclei, more: Nuclei) -> tuple[Nuclei, NDArray[np.intp]]:
    """Return ``known`` with what is new in ``more``, and the places of ``more`` in it: a key is one nucleus."""
    joined = Nuclei.concat([known, more.take(~np.isin(more.key, known.key))])
    order = np.argsort(joined.key)
    return joined, order[np.searchsorted(joined.key, more.key, sorter=order)]
