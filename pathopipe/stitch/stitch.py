"""The stitch rule: which of the tiles' instances are the slide's.

A tile sees its core and a halo around it, so a nucleus near a seam is seen by two tiles, in a corner by four. Three
steps decide who reports it, and no outline is ever changed or united::

    +-----------+-----------+      1. A tile reports the instances whose centroid lies in its core, or beyond
    |     A     |     B     |         it by no more than a small margin (dotted): A and B measure slightly
    |         : | :         |         different centroids of one nucleus, and both might think it the other's.
    |       (a:(b):)        |      2. So some nuclei are reported twice. Of two overlapping instances of
    |         : | :         |         different tiles the better-seen stays: the one whose outline is farther
    +-----------+-----------+         from the border of what its tile has read.
                                   3. If what stays is still cut by such a border, the halo was too small.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.geometry import Frame
from pathopipe.instances import Instances
from pathopipe.stitch.seams import check_halo, duplicates
from pathopipe.stitch.spec import StitchSpec
from pathopipe.stitch.view import View
from pathopipe.tiling.grid import Tile


def stitch(
    parts: Iterable[tuple[Tile, Instances]], frame: Frame, spec: StitchSpec, classes: tuple[str, ...] = ()
) -> Instances:
    """Put the instances of all tiles together, every nucleus once.

    Parameters
    ----------
    parts : iterable of (Tile, Instances)
        The tiles of one grid that were analysed, in any order, each with everything found in its ``read`` box. The
        boxes are in working pixels of ``frame``, the outlines in level-0 pixels. They are taken one by one; what is
        kept in memory are the instances that a tile answers for, about 12 bytes a vertex.
    frame : Frame
        How working pixels lie on level 0.
    spec : StitchSpec
        The rule's numbers.
    classes : tuple of str
        Class names of the result where there are no parts.

    Returns
    -------
    Instances
        In level-0 pixels, by tile (row, then column), then by centroid (y, then x): the order does not depend on the
        order of ``parts``. An instance whose centroid lies beyond its tile's core, towards a tile that was not
        analysed, stays: nobody else reports it. Cells outside the tissue are kept too; see :func:`inside`.

    Raises
    ------
    HaloTooSmallError
        If an instance that stays reaches the border of what its tile has read, and the slide goes on there.
    ValueError
        If a tile comes twice, tiles differ in their classes or measurements, or an outline is not finite.
    """
    views = sorted((View.of(tile, found, frame, spec.seam_margin_um) for tile, found in parts), key=View.place)
    for view, following in pairwise(views):
        if view.place() == following.place():
            raise ValueError(f"tile {view.tile.name} comes twice")
    if not views:
        return Instances.empty(classes)
    keep = ~duplicates(views, spec)
    check_halo(views, keep)
    return Instances.concat(_kept(views, keep))


def _kept(views: list[View], keep: NDArray[np.bool_]) -> Iterator[Instances]:
    start = 0
    for view in views:
        chosen = keep[start : start + len(view)]
        start += len(view)
        yield view.instances if chosen.all() else view.instances.take(chosen)


def inside(instances: Instances, area: Any) -> NDArray[np.bool_]:
    """Return which instances have their centroid in ``area``.

    Which tiles are analysed depends on their size, so what is found *outside* the tissue does too. Cutting with the
    tissue afterwards leaves the same nuclei for every grid: a tile whose core holds a point of tissue is analysed.

    Parameters
    ----------
    instances : Instances
        In level-0 pixels.
    area : shapely geometry or sequence of them
        Polygons in level-0 pixels, holes and several pieces allowed; their boundary belongs to them.

    Returns
    -------
    (n,) bool
    """
    whole = shapely.union_all(area)
    shapely.prepare(whole)
    x, y = instances.outlines.centroids().T
    found: NDArray[np.bool_] = shapely.intersects_xy(whole, x, y)
    return found
