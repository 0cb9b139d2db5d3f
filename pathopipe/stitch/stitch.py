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

Rows of tiles are taken from the top down. What lies far enough above the next row is final and given out, so that two
rows or so of tiles are in memory, whatever the slide's size.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.errors import HaloTooSmallError
from pathopipe.geometry import Frame
from pathopipe.instances import Instances
from pathopipe.stitch.seams import Seams, needed_halo
from pathopipe.stitch.spec import StitchSpec
from pathopipe.stitch.view import View
from pathopipe.tiling.grid import Tile


@dataclass(frozen=True)
class Reported:
    """What one tile reports of the slide's instances."""

    tile: Tile
    index: NDArray[np.int32]
    """(n,) which each is of all that was found in the tile."""
    instances: Instances
    """In level-0 pixels."""

    def take(self, chosen: NDArray[np.bool_]) -> Reported:
        """Return those that are chosen (n,)."""
        return self if chosen.all() else Reported(self.tile, self.index[chosen], self.instances.take(chosen))


def stitch(
    tiles: Iterable[Tile], found: Callable[[Tile], Instances], frame: Frame, spec: StitchSpec
) -> Iterator[Reported]:
    """Yield the slide's instances, those of each tile that are reported by it, every nucleus once.

    Parameters
    ----------
    tiles : iterable of Tile
        The tiles of one grid that were analysed, in any order.
    found : callable
        Takes a tile and returns everything found in its ``read`` box, in level-0 pixels. It is called once a tile, row
        by row; two rows' results or so are kept.
    frame : Frame
        How working pixels, which tiles are in, lie on level 0.
    spec : StitchSpec
        The rule's numbers.

    Yields
    ------
    Reported
        One for each tile, by row, then column; in level-0 pixels, by centroid (y, then x): the order does not depend
        on that of ``tiles``. An instance whose centroid lies beyond its tile's core, towards a tile that was not
        analysed, stays: nobody else reports it. Cells outside the tissue are kept too, those that the side of a cropped
        tile cuts included; see :func:`inside`.

    Raises
    ------
    HaloTooSmallError
        At the end, if an instance that stays reaches the border of what its tile has read, and the slide goes on there.
    ValueError
        If a tile comes twice, tiles differ in their classes or measurements, or an outline is not finite.
    """
    ordered = sorted(tiles, key=lambda tile: (tile.row, tile.col))
    for tile, following in pairwise(ordered):
        if (tile.row, tile.col) == (following.row, following.col):
            raise ValueError(f"tile {tile.name} comes twice")
    rows = [list(row) for _, row in groupby(ordered, key=lambda tile: tile.row)]
    # Where a row's highest tile is cropped, the rows below it still lie below that.
    tops = [*(float(min(tile.read.y0 for tile in row)) for row in rows), math.inf][1:]
    seams, waiting, needed = Seams(spec), deque[_Row](), 0
    first: Instances | None = None
    for row, top in zip(rows, tops, strict=True):
        views = [View.of(tile, found(tile), frame, spec.seam_margin_um) for tile in row]
        first = views[0].instances if first is None else first
        if not all(view.instances.fits(first) for view in views):
            raise ValueError(f"the tiles of row {row[0].row} differ from others in their classes or measurements")
        start = waiting[-1].end if waiting else seams.cells
        waiting.append(_Row(views, start, np.ones(sum(map(len, views)), np.bool_)))
        seams.add(views)
        gone, final = seams.settle(top)
        for each in waiting:
            each.drop(gone)
        while waiting and waiting[0].end <= final:
            done = waiting.popleft()
            needed = max(needed, needed_halo(done.views, done.keep))
            if not needed:
                yield from done.kept()
    if needed:
        raise HaloTooSmallError(needed, ordered[0].core.x0 - ordered[0].read.x0)


@dataclass
class _Row:
    """A row of tiles of which something is undecided."""

    views: list[View]
    start: int
    """Number of the first instance; the others follow, view by view."""
    keep: NDArray[np.bool_]
    """(n,) whether each stays, as far as it is decided."""

    @property
    def end(self) -> int:
        """Number after that of the last instance."""
        return self.start + len(self.keep)

    def drop(self, gone: NDArray[np.int64]) -> None:
        """Note that the instances with these numbers, as far as they are of this row, go."""
        self.keep[gone[(gone >= self.start) & (gone < self.end)] - self.start] = False

    def kept(self) -> Iterator[Reported]:
        """Yield what stays of each view."""
        start = 0
        for view in self.views:
            chosen = self.keep[start : start + len(view)]
            start += len(view)
            yield Reported(view.tile, view.index, view.instances).take(chosen)


def inside(instances: Instances, area: shapely.Geometry) -> NDArray[np.bool_]:
    """Return which instances have their centroid in ``area``.

    Which tiles are analysed depends on their size, so what is found *outside* the tissue does too. Cutting with the
    tissue afterwards leaves the same nuclei for every grid: a tile whose core holds a point of tissue is analysed.

    Parameters
    ----------
    instances : Instances
        In level-0 pixels.
    area : shapely geometry
        Polygons in level-0 pixels, holes and several pieces allowed; their boundary belongs to them.

    Returns
    -------
    (n,) bool
    """
    shapely.prepare(area)  # an index over its edges, built once
    x, y = instances.outlines.centroids().T
    found: NDArray[np.bool_] = shapely.intersects_xy(area, x, y)
    return found
