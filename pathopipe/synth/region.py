"""A part of a drawn slide as arrays, for tests and for training."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pathopipe.geometry import Box, Outlines
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
    keys = np.zeros((box.height, box.width), np.int64)
    seen: list[Nuclei] = []
    for row in range(box.y0 // BLOCK_PX, -(-box.y1 // BLOCK_PX)):
        for col in range(box.x0 // BLOCK_PX, -(-box.x1 // BLOCK_PX)):
            block = draw_block(spec, row, col)
            part = block.box.clipped(box)
            there = (slice(part.y0 - box.y0, part.y1 - box.y0), slice(part.x0 - box.x0, part.x1 - box.x0))
            x0, y0 = block.box.x0, block.box.y0
            inside = (slice(part.y0 - y0, part.y1 - y0), slice(part.x0 - x0, part.x1 - x0))
            rgb[there] = block.rgb[inside]
            if block.nuclei is not None:
                names = np.concatenate([[-1], block.nuclei.key])
                keys[there] = names[block.labels[inside]]
                seen.append(block.nuclei)
            else:
                keys[there] = -1
    return _labelled(rgb, keys, seen, spec)


def _labelled(rgb: NDArray[np.uint8], keys: NDArray[np.int64], seen: list[Nuclei], spec: SynthSpec) -> DrawnRegion:
    """Give the nuclei of a region numbers by their keys: a nucleus that shows in two blocks is one."""
    shown, place = np.unique(keys, return_inverse=True)
    labels: NDArray[np.int32] = (place.reshape(keys.shape) + int(shown[0] != -1)).astype(np.int32)
    shown = shown[shown != -1]
    nuclei = Nuclei.concat(seen) if seen else None
    if nuclei is None or not len(shown):
        return DrawnRegion(rgb, labels, Outlines.empty(), np.zeros(0, np.uint8))
    _, first = np.unique(nuclei.key, return_index=True)
    nuclei = nuclei.take(first)
    nuclei = nuclei.take(np.searchsorted(nuclei.key, shown))
    return DrawnRegion(rgb, labels, nuclei.outlines(spec.seed), nuclei.class_id)
