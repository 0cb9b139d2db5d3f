"""What the network should say about a patch: maps at half resolution, made from its labels."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.models.network import OUTPUT_STRIDE

_LONGEST = 40
"""No ray is followed further, in output pixels."""
_RAY_SHARE = 0.15
"""Share of the foreground pixels whose distances are computed: neighbours say the same, and it saves time."""
Labels = NDArray[np.int32]
Map = NDArray[np.float32]


class Targets(NamedTuple):
    """Targets of one patch of h × w output pixels."""

    probability: Map
    """(h, w) 0 at the border of a nucleus, 1 in its middle."""
    foreground: Map
    """(h, w) share of the output pixel that is covered by nuclei."""
    boundary: Map
    """(h, w) 1 where a nucleus meets another or the background."""
    distances: Map
    """(rays, h, w) output pixels to the border of the nucleus, in each direction."""
    weight: Map
    """(h, w) of the distances; 0 where they were not computed."""


def targets(labels: Labels, rays: int, rng: np.random.Generator) -> Targets:
    """Return the targets of ``labels`` (2 h, 2 w)."""
    height, width = labels.shape
    shape = (height // OUTPUT_STRIDE, width // OUTPUT_STRIDE)
    foreground = cv2.resize((labels > 0).astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
    full, edge = _depth(labels)
    half = labels[::OUTPUT_STRIDE, ::OUTPUT_STRIDE]
    # Relative to the deepest output pixel: averaging would leave small and thin nuclei without a pixel near 1.
    mean = np.asarray(cv2.resize(full, shape[::-1], interpolation=cv2.INTER_AREA), np.float32)
    probability = np.minimum(mean / _deepest(mean, half)[half], 1)
    boundary = cv2.resize(edge, shape[::-1], interpolation=cv2.INTER_AREA)
    chosen = (half > 0) & (rng.random(shape) < _RAY_SHARE)
    distances = np.zeros((rays, *shape), np.float32)
    distances[:, chosen] = star_distances(half, np.nonzero(chosen), rays)
    return Targets(
        np.asarray(probability, np.float32),
        np.asarray(foreground, np.float32),
        np.asarray(boundary > 0.4, np.float32),
        distances,
        np.asarray(probability * chosen, np.float32),
    )


def _depth(labels: Labels) -> tuple[Map, Map]:
    """Return the depth inside each nucleus relative to its deepest point, and the pixels along borders."""
    edge = np.zeros(labels.shape, bool)
    down, right = labels[1:] != labels[:-1], labels[:, 1:] != labels[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    inner = ((labels > 0) & ~edge).astype(np.uint8)
    # Half a pixel: the border runs along the outer side of the edge pixels, which are inside too.
    depth = cv2.distanceTransform(inner, cv2.DIST_L2, 5) + 0.5
    depth[labels == 0] = 0
    return np.asarray(depth / _deepest(depth, labels)[labels], np.float32), edge.astype(np.float32)


def _deepest(depth: NDArray[np.floating], labels: Labels) -> Map:
    """Return (labels,) the largest ``depth`` in every nucleus; 1 for the background and where there is none."""
    deepest = np.zeros(int(labels.max()) + 1, np.float32)
    np.maximum.at(deepest, labels.ravel(), depth.ravel())
    deepest[0] = 1
    return np.where(deepest > 0, deepest, 1)


def star_distances(labels: Labels, where: tuple[NDArray[np.intp], ...], rays: int) -> Map:
    """Return (rays, n) how far it is from pixels ``where`` (rows, columns) of ``labels`` to where their label ends."""
    rows, cols = (index.astype(np.float32) for index in where)
    own = labels[where]
    angles = np.arange(rays) * (2 * np.pi / rays)
    step_x, step_y = np.cos(angles).astype(np.float32), np.sin(angles).astype(np.float32)
    padded = np.pad(labels, 1, constant_values=-1)  # beyond the patch nothing is known: the ray ends there
    found = np.zeros((rays, len(rows)), np.float32)
    ray, pixel = (index.ravel() for index in np.indices((rays, len(rows))))
    for length in range(1, _LONGEST):
        x = np.rint(cols[pixel] + step_x[ray] * length).astype(np.intp)
        y = np.rint(rows[pixel] + step_y[ray] * length).astype(np.intp)
        np.clip(x, -1, labels.shape[1], out=x)
        np.clip(y, -1, labels.shape[0], out=y)
        inside = padded[y + 1, x + 1] == own[pixel]
        found[ray[~inside], pixel[~inside]] = length - 0.5
        ray, pixel = ray[inside], pixel[inside]
        if not len(ray):
            return found
    found[ray, pixel] = _LONGEST
    return found
