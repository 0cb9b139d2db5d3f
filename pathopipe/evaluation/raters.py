"""Several raters' outlines of the same region, and which of them are of the same nucleus."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.evaluation.pairs import FOUND, EvaluationError, Pairs

NONE = "none"
"""What a nucleus is to a rater who did not outline it; a category beside the classes."""
UNCLASSIFIED = "unclassified"
"""The class of what a rater outlined without giving it a class."""
SAME_EXTENT = 0.7
"""Part of the larger extent that two raters must share, else they are told of ``--region``."""
_ENDINGS = (".zip", ".gz", ".geojson", ".json", ".png", ".tif", ".tiff", ".npy")


@dataclass(frozen=True, eq=False)
class Rater:
    """What one annotator, or one model, outlined."""

    name: str
    polygons: NDArray[np.object_]
    """(n,) valid shapely polygons; all raters' in the same frame, such as level-0 pixels."""
    classes: NDArray[np.str_]
    """(n,) class names."""

    def __post_init__(self) -> None:
        if self.classes.shape != self.polygons.shape:
            raise ValueError(f"{self.classes.shape} classes for {self.polygons.shape} polygons")
        if NONE in self.classes:
            raise EvaluationError(
                f'{self.name} has a class called "{NONE}", which is what a nucleus counts as that a rater did not '
                f"outline: rename the class"
            )

    def __len__(self) -> int:
        return len(self.polygons)

    def take(self, kept: NDArray[np.integer]) -> Rater:
        """Return the rater with the outlines ``kept`` (indices) alone."""
        return Rater(self.name, self.polygons[kept], self.classes[kept])


def same_nuclei(sizes: Sequence[int], pairs: dict[tuple[int, int], Pairs]) -> NDArray[np.int64]:
    """Return (nuclei, raters): which outline of each rater is of that nucleus, -1 where there is none.

    Two outlines with an IoU above 0.5 are of the same nucleus. Chains of such pairs are joined, the highest IoU first,
    except where that would give a nucleus two outlines of one rater. For two raters this is the one-to-one matching of
    the panoptic quality.

    Parameters
    ----------
    sizes : sequence of int
        The number of outlines of each rater.
    pairs : dict of (int, int) to Pairs
        Of every two raters (first < second) the outlines that meet.
    """
    starts = np.concatenate([[0], np.cumsum(sizes)])
    # A nucleus begins as a single outline: its row has one entry, and is emptied when it joins another's.
    rater = np.repeat(np.arange(len(sizes)), sizes)
    members = np.full((starts[-1], len(sizes)), -1)
    members[np.arange(len(members)), rater] = np.arange(len(members)) - starts[rater]
    nucleus = np.arange(len(members))
    for one, other in _by_iou(starts, pairs):
        into, gone = nucleus[one], nucleus[other]
        if into != gone and not np.any((members[into] >= 0) & (members[gone] >= 0)):
            joining = np.flatnonzero(members[gone] >= 0)
            nucleus[starts[joining] + members[gone, joining]] = into
            members[into, joining] = members[gone, joining]
            members[gone] = -1
    members = members[(members >= 0).any(axis=1)]
    order = np.lexsort(np.where(members < 0, starts[-1], members).T[::-1])
    return members[order]


def _by_iou(starts: NDArray[np.int64], pairs: dict[tuple[int, int], Pairs]) -> NDArray[np.int64]:
    """Return (m, 2) the outlines, numbered over all raters, of every pair above :data:`FOUND`, highest IoU first."""
    ends, ious = [np.zeros((0, 2), np.int64)], [np.zeros(0)]
    for (first, second), met in sorted(pairs.items()):
        same = met.iou > FOUND
        ends.append(met.index[same] + starts[[first, second]])
        ious.append(met.iou[same])
    every = np.concatenate(ends)
    return every[np.lexsort((every[:, 1], every[:, 0], -np.concatenate(ious)))]


def inside(members: NDArray[np.int64], raters: Sequence[Rater], region: shapely.Geometry) -> NDArray[np.bool_]:
    """Return (nuclei,) whether the mean of the centroids of a nucleus' outlines lies in ``region``.

    So at the border of the region a nucleus counts for all of its raters or for none.
    """
    total, number = np.zeros((len(members), 2)), np.zeros((len(members), 1))
    for column, rater in enumerate(raters):
        there = members[:, column] >= 0
        total[there] += shapely.get_coordinates(shapely.centroid(rater.polygons[members[there, column]]))
        number[there] += 1
    middle = total / number
    shapely.prepare(region)
    return np.asarray(shapely.intersects_xy(region, middle[:, 0], middle[:, 1]), np.bool_)


def notes(raters: Sequence[Rater], region: shapely.Geometry | None) -> list[str]:
    """Return what may make a comparison of ``raters`` mean something else than was wanted."""
    bare = [rater.name for rater in raters if len(rater) and set(rater.classes.tolist()) == {UNCLASSIFIED}]
    told = []
    if 0 < len(bare) < len(raters):
        told.append(
            f'{", ".join(bare)}: no nucleus has a class, so all count as "{UNCLASSIFIED}" in the kappas; compare the '
            f"outlines alone with --ignore-classes"
        )
    told += [
        f"{rater.name}: outlines with five or more others inside: {around}; if they are regions, not nuclei, leave "
        f"them out of the file and give them with --region"
        for rater in raters
        if (around := _enclosing(rater))
    ]
    if region is None:
        told += [
            f"{one.name} and {other.name} outlined different extents: compare what both saw with --region"
            for one, other in combinations(raters, 2)
            if _apart(one, other)
        ]
    return told


def _apart(one: Rater, other: Rater) -> bool:
    """Return whether much of what one rater went over was not gone over by the other, by their convex hulls."""
    hulls = [shapely.convex_hull(shapely.multipoints(shapely.centroid(rater.polygons))) for rater in (one, other)]
    return bool(shapely.area(shapely.intersection(*hulls)) < SAME_EXTENT * max(shapely.area(hulls)))


def _enclosing(rater: Rater) -> int:
    if len(rater) < 6:
        return 0
    tree = shapely.STRtree(shapely.centroid(rater.polygons))
    around = tree.query(rater.polygons, predicate="contains")[0]
    return int((np.bincount(around, minlength=len(rater)) > 5).sum())


def rater_names(paths: Sequence[Path]) -> list[str]:
    """Return a name for each file: its own without the ending, or, where all are called the same, its folder's.

    More folders are added where that does not tell them apart; a file that is given twice is numbered.
    """
    parts = [[*path.absolute().parts[:-1], _bare(path.name)] for path in paths]
    last = [part[-1] for part in parts]
    while all(len(part) > 1 for part in parts) and len({part[-1] for part in parts}) == 1:
        parts = [part[:-1] for part in parts]
    for depth in range(1, max(map(len, parts)) + 1):
        names = ["/".join(part[-depth:]) for part in parts]
        if len(set(names)) == len(names):
            return names
    return [name if last.count(name) == 1 else f"{name} #{number}" for number, name in enumerate(last, 1)]


def _bare(name: str) -> str:
    """Return ``name`` without its endings, such as ".geojson.zip"."""
    while name.lower().endswith(_ENDINGS) and (bare := name[: name.rindex(".")]):
        name = bare
    return name
