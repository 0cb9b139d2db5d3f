"""What is seen twice at the seams, and what is cut there."""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.errors import HaloTooSmallError
from pathopipe.geometry import Outlines
from pathopipe.stitch.spec import StitchSpec
from pathopipe.stitch.view import View

CUT_PX = 0.5
"""An outline this near the read border, in working pixels, is taken as cut by it: half a pixel, since an outline
around whole pixels that was cut lies on the border, and one that was not ends at least a pixel before it."""
HALO_STEP_PX = 16
"""The halo that is asked for is a multiple of this, as strided models want it."""


def duplicates(views: list[View], spec: StitchSpec) -> NDArray[np.bool_]:
    """Return which of all views' instances (views in order) are seen better by another tile.

    Cells are gone through from the best seen to the worst; one that is the same nucleus as a better one of another
    tile, which itself stays, goes. So where the best is the same as the second, and the second as the third, but not
    the best as the third, the third stays. Ties: the higher score, then the first tile by row and column, then the
    first by position.
    """
    seam = np.flatnonzero(np.concatenate([view.near_seam() for view in views]))
    gone = np.zeros(sum(len(view) for view in views), np.bool_)
    if not len(seam):
        return gone
    tile = np.repeat(np.arange(len(views)), [len(view) for view in views])[seam]
    seen = np.concatenate([view.to_border.min(axis=1) for view in views])[seam]
    score = np.concatenate([view.instances.score for view in views])[seam]
    outlines = Outlines.concat(view.instances.outlines.take(view.near_seam()) for view in views)
    rank = np.empty(len(seam), np.int64)
    rank[np.lexsort((np.arange(len(seam)), -score, -seen))] = np.arange(len(seam))
    gone[seam] = _suppressed(_same(outlines, tile, spec), rank)
    return gone


def _same(outlines: Outlines, tile: NDArray[np.int64], spec: StitchSpec) -> NDArray[np.int64]:
    """Return (k, 2) pairs of outlines from different tiles that are one nucleus."""
    polygons = outlines.to_shapely()
    first, second = shapely.STRtree(polygons).query(polygons)
    pairs: NDArray[np.int64] = np.stack([first, second], axis=1)[(first < second) & (tile[first] != tile[second])]
    if not len(pairs):
        return pairs
    # GEOS cannot intersect invalid polygons, and a model may draw bow-ties.
    used = np.unique(pairs)
    wrong = used[~shapely.is_valid(polygons[used])]
    polygons[wrong] = shapely.make_valid(polygons[wrong])
    one, other = polygons[pairs[:, 0]], polygons[pairs[:, 1]]
    shared = shapely.area(shapely.intersection(one, other))
    areas = shapely.area(one), shapely.area(other)
    same = (shared >= spec.same_iou * (areas[0] + areas[1] - shared)) | (
        shared >= spec.same_within * np.minimum(*areas)
    )
    return np.compress(same & (shared > 0), pairs, axis=0)


def _suppressed(pairs: NDArray[np.int64], rank: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which go when pairs are resolved from the best rank (0) to the worst."""
    gone = np.zeros(len(rank), np.bool_)
    better = np.where(rank[pairs[:, 0]] < rank[pairs[:, 1]], pairs[:, 0], pairs[:, 1])
    worse = pairs.sum(axis=1) - better
    # By the better one's rank: when a pair's turn comes, all that could remove its better one has been decided.
    for index in np.argsort(rank[better], kind="stable"):
        if not gone[better[index]]:
            gone[worse[index]] = True
    return gone


def check_halo(views: list[View], keep: NDArray[np.bool_]) -> None:
    """Check that no instance that stays is cut by the border of what its tile has read.

    Raises
    ------
    HaloTooSmallError
        If one is. How far it goes on is unknown; the halo asked for shows it whole if at most half of it was cut off.
    """
    to_border = np.concatenate([view.to_border for view in views])[keep]
    cut = to_border <= CUT_PX
    if not cut.any():
        return
    bounds = np.concatenate([view.bounds for view in views])[keep]
    halo = views[0].tile.core.x0 - views[0].tile.read.x0
    extent = np.tile(bounds[:, 2:] - bounds[:, :2], 2)[cut].max()
    raise HaloTooSmallError(math.ceil((halo + float(extent)) / HALO_STEP_PX) * HALO_STEP_PX, halo)
