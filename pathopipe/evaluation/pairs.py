"""Which objects of two sets meet, and by how much: what every figure of an evaluation is computed from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components, min_weight_full_bipartite_matching

from pathopipe.errors import PathopipeError
from pathopipe.geometry import Outlines

FOUND = 0.5
"""IoU above which two objects are the same. No two objects of a label image can both have it with a third."""

_BATCH = 1000
"""Pairs that are assigned at a time."""


class EvaluationError(PathopipeError, ValueError):
    """Prediction and truth, or the outlines of several raters, cannot be compared."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """The objects of two sets, such as prediction and truth, that overlap; areas in square pixels."""

    index: NDArray[np.integer]
    """(m, 2) of each pair the object of the first and that of the second set, sorted."""
    overlap: NDArray[np.float64]
    """(m,) area that the two share; above 0."""
    first: NDArray[np.float64]
    """(n,) areas of the objects of the first set."""
    second: NDArray[np.float64]
    """The same of the second set."""
    covered: tuple[float, float, float]
    """Area that the first set covers, that the second covers, and that both cover; each place counts once."""

    @cached_property
    def union(self) -> NDArray[np.float64]:
        """(m,) area that the two objects of a pair cover together."""
        union: NDArray[np.float64] = self.first[self.index[:, 0]] + self.second[self.index[:, 1]] - self.overlap
        return union

    @cached_property
    def iou(self) -> NDArray[np.float64]:
        """(m,) overlap over union."""
        iou: NDArray[np.float64] = self.overlap / self.union
        return iou

    def reversed(self) -> Pairs:
        """Return the same with the second set first."""
        order = np.lexsort((self.index[:, 0], self.index[:, 1]))
        first, second, both = self.covered
        return Pairs(self.index[order, ::-1], self.overlap[order], self.second, self.first, (second, first, both))

    @cached_property
    def partners(self) -> NDArray[np.int64]:
        """The pairs with an IoU above :data:`FOUND` in which each object keeps its best partner only, best first.

        Objects of a label image do not overlap, so above 0.5 a pair is unique anyway (Kirillov et al. 2019, section
        4.1); polygons may overlap, and then the higher IoU goes first.
        """
        used: tuple[set[int], set[int]] = (set(), set())
        kept = []
        candidates = np.flatnonzero(self.iou > FOUND)
        for pair in candidates[np.argsort(-self.iou[candidates], kind="stable")].tolist():
            one, other = self.index[pair].tolist()
            if one not in used[0] and other not in used[1]:
                used[0].add(one)
                used[1].add(other)
                kept.append(pair)
        return np.array(kept, np.int64)

    @cached_property
    def assigned(self) -> NDArray[np.int64]:
        """The pairs, none sharing an object, whose IoU sum is the largest possible; any IoU above 0 counts.

        An assignment problem, solved exactly. Objects that no chain of overlaps joins do not compete, so it is solved
        for some hundred chains at a time: for a whole slide at once it would take time with the square of the number.
        """
        nodes = len(self.first) + len(self.second)
        ends = self.index[:, 0], self.index[:, 1] + len(self.first)
        joined = coo_array((np.ones(len(self.index)), ends), shape=(nodes, nodes))
        _, chain = connected_components(joined, directed=False)
        chain = chain[ends[0]]
        order = np.argsort(chain, kind="stable")
        # A chain goes with the batch in which it begins.
        begins = np.searchsorted(chain[order], chain[order])
        cuts = np.flatnonzero(np.diff(begins // _BATCH)) + 1
        parts = [part[_assigned(self.index[part], self.iou[part])] for part in np.split(order, cuts)]
        return np.sort(np.concatenate(parts))


def _assigned(index: NDArray[np.integer], iou: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return which of the pairs ``index`` (m, 2) the assignment of the largest sum of ``iou`` takes.

    Jonker and Volgenant (1987) on sparse tables, as scipy has it. It wants every row to have a partner, so each has one
    of its own that stands for "none".
    """
    if not len(index):
        return np.zeros(0, np.int64)
    rows, row = np.unique(index[:, 0], return_inverse=True)
    cols, col = np.unique(index[:, 1], return_inverse=True)
    own, width = np.arange(len(rows)), len(cols)
    # Costs are 2 - IoU: scipy takes a cost of 0 for "no pair", and each row has exactly one cost.
    costs = np.concatenate([2 - iou, np.full(len(rows), 2.0)])
    places = np.concatenate([row, own]), np.concatenate([col, width + own])
    table = coo_array((costs, places), shape=(len(rows), width + len(rows))).tocsr()
    partner = np.full(len(rows), -1)
    chosen_row, chosen_col = min_weight_full_bipartite_matching(table)
    partner[chosen_row] = chosen_col
    return np.flatnonzero(partner[row] == col)


def label_pairs(first: NDArray[np.integer], second: NDArray[np.integer]) -> Pairs:
    """Return the objects of two label images (h, w) that meet: 0 is background, every other value one object.

    Raises
    ------
    EvaluationError
        If their shapes differ or they are no label images.
    """
    for name, labels in (("prediction", first), ("truth", second)):
        if labels.ndim != 2 or labels.dtype.kind not in "iub":
            raise EvaluationError(f"the {name} is no label image: shape {labels.shape}, type {labels.dtype}")
        if labels.size and labels.min() < 0:
            raise EvaluationError(
                f"the {name} has the label {labels.min()}; labels are 0 for background, then positive"
            )
    if first.shape != second.shape:
        raise EvaluationError(f"the prediction has shape {first.shape}, the truth {second.shape}")
    ours, theirs = (np.unique(labels, return_inverse=True) for labels in (first, second))
    one, other = (inverse.ravel() for _, inverse in (ours, theirs))
    # Only pairs that meet are counted: a table of all with all would not fit for a whole slide.
    joint, overlap = np.unique(one * len(theirs[0]) + other, return_counts=True)
    pairs = np.stack(np.divmod(joint, len(theirs[0])), axis=1)
    met = (ours[0][pairs[:, 0]] != 0) & (theirs[0][pairs[:, 1]] != 0)
    # Where there is background its number is 0, and the objects' move down by one.
    shift = [int((ids == 0).any()) for ids in (ours[0], theirs[0])]
    areas = [
        np.bincount(inverse, minlength=1)[by:].astype(float) for inverse, by in zip((one, other), shift, strict=True)
    ]
    shared = overlap[met].astype(float)
    covered = float(areas[0].sum()), float(areas[1].sum()), float(shared.sum())
    return Pairs(pairs[met] - shift, shared, areas[0], areas[1], covered)


def polygon_pairs(first: NDArray[np.object_], second: NDArray[np.object_]) -> Pairs:
    """Return the objects of two sets of valid shapely polygons, (n,) and (k,), that meet."""
    index, overlap = _overlaps(first, second)
    unions = [shapely.get_parts(shapely.disjoint_subset_union_all(each)) for each in (first, second)]
    areas = [float(shapely.area(parts).sum()) for parts in unions]
    both = float(_overlaps(unions[0], unions[1])[1].sum())
    return Pairs(index, overlap, shapely.area(first), shapely.area(second), (areas[0], areas[1], both))


def _overlaps(first: NDArray[np.object_], second: NDArray[np.object_]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    index = shapely.STRtree(second).query(first, predicate="intersects").T
    overlap = shapely.area(shapely.intersection(first[index[:, 0]], second[index[:, 1]]))
    index, overlap = index[overlap > 0], overlap[overlap > 0]
    order = np.lexsort((index[:, 1], index[:, 0]))
    return index[order], overlap[order]


def valid_polygons(outlines: Outlines) -> NDArray[np.object_]:
    """Return (n,) shapely Polygons or MultiPolygons of ``outlines``, those that cross themselves made valid."""
    polygons = outlines.to_shapely()
    broken = ~shapely.is_valid(polygons)
    # Made valid, an outline may have lines beside its polygons; a buffer of 0 leaves those out.
    polygons[broken] = shapely.buffer(shapely.make_valid(polygons[broken]), 0)
    return polygons
