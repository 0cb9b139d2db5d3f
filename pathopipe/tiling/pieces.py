"""Connected pieces of a mask, found some rows at a time.

Labels of a whole picture take four times the memory of its mask. Here every strip is labelled by itself, each time its
labels are needed, and what meets across the strips' borders is known to be one piece.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.tiling.strips import Strip, strips

Mask = NDArray[np.bool_]


class Pieces:
    """The pieces of a mask, numbered from 1; 0 is what lies between them.

    Parameters
    ----------
    mask : (h, w) bool
        Must not change as long as the pieces are asked for.
    connectivity : int
        4 or 8.
    """

    def __init__(self, mask: Mask, connectivity: int = 8) -> None:
        self._mask, self._connectivity = mask, connectivity
        areas, boxes, joints, edge, first = [], [], [], None, 0
        self._first: list[int] = []
        """The number that the background of every strip has among the labels of all strips."""
        for strip in strips(mask.shape):
            count, labels, stats, _ = cv2.connectedComponentsWithStats(self._rows(strip), connectivity=connectivity)
            areas.append(stats[:, cv2.CC_STAT_AREA])
            boxes.append(stats[:, :4] + [0, strip.start, 0, 0])
            self._first.append(first)
            if edge is not None:
                joints.append(_joints(*edge, labels[0], first, connectivity))
            edge, first = (labels[-1].copy(), first), first + count
        self._piece = _united(first, self._first, joints)
        self.number = int(self._piece.max(initial=0))
        """How many there are."""
        self.area = np.bincount(self._piece, np.concatenate(areas), self.number + 1).astype(np.int64)
        """(number + 1,) pixels of every piece; 0 for what lies between."""
        self.area[0] = 0
        self._boxes = _boxes(self._piece, np.concatenate(boxes), self.number)

    @property
    def labels(self) -> Iterator[tuple[Strip, NDArray[np.int32]]]:
        """The number of every pixel's piece, strip by strip."""
        for strip, first in zip(strips(self._mask.shape), self._first, strict=True):
            yield strip, self._labelled(strip, first)

    def count(self, mask: Mask) -> NDArray[np.int64]:
        """Return (number + 1,) how many pixels of every piece are in ``mask`` (h, w)."""
        return self.sum(lambda strip: mask[strip.rows])

    def sum(self, values: Callable[[Strip], NDArray[np.uint8] | Mask]) -> NDArray[np.int64]:
        """Return (number + 1,) the sum over every piece of whole ``values``, asked for of the rows of a strip."""
        found = np.zeros(self.number + 1, np.int64)
        for strip, labels in self.labels:
            of_strip = values(strip)
            here = of_strip > 0
            if here.any():
                weights = None if of_strip.dtype == bool else of_strip[here]
                found += np.bincount(labels[here], weights, self.number + 1).astype(np.int64)
        found[0] = 0
        return found

    @property
    def at_rim(self) -> Mask:
        """(number + 1,) whether a piece touches the picture's border."""
        rim = np.zeros(self.number + 1, bool)
        for strip, labels in self.labels:
            rim[labels[:, 0]] = rim[labels[:, -1]] = True
            if strip.start == 0:
                rim[labels[0]] = True
            if strip.stop == len(self._mask):
                rim[labels[-1]] = True
        rim[0] = False
        return rim

    def those(self, keep: Mask) -> Mask:
        """Return (h, w) the pieces for which ``keep`` (number + 1,) is true."""
        keep = keep.copy()
        keep[0] = False
        found = np.zeros(self._mask.shape, bool)
        if keep.any():
            for strip, labels in self.labels:
                np.take(keep, labels, out=found[strip.rows])
        return found

    def around(self, number: int, margin: int) -> tuple[slice, slice]:
        """Return the rows and columns that hold the piece ``number``, with ``margin`` around where the picture is."""
        x0, y0, x1, y1 = self._boxes[number].tolist()
        height, width = self._mask.shape
        return (
            slice(max(0, y0 - margin), min(height, y1 + margin)),
            slice(max(0, x0 - margin), min(width, x1 + margin)),
        )

    def one(self, number: int, part: tuple[slice, slice]) -> Mask:
        """Return where in ``part`` (rows, columns) of the picture the piece ``number`` is."""
        rows, columns = part
        found = np.zeros(self._mask[part].shape, bool)
        for strip, first in zip(strips(self._mask.shape), self._first, strict=True):
            top, bottom = max(strip.start, rows.start), min(strip.stop, rows.stop)
            if top < bottom:
                labels = self._labelled(strip, first)[top - strip.start : bottom - strip.start, columns]
                found[top - rows.start : bottom - rows.start] = labels == number
        return found

    def _labelled(self, strip: Strip, first: int) -> NDArray[np.int32]:
        _, labels = cv2.connectedComponents(self._rows(strip), connectivity=self._connectivity)
        labels += first
        return np.asarray(self._piece[labels], np.int32)

    def _rows(self, strip: Strip) -> NDArray[np.uint8]:
        return self._mask[strip.rows].view(np.uint8)


def connected(sure: Mask, around: Mask) -> Mask:
    """Return the pieces of ``sure`` or ``around`` (h, w) that have a sure pixel."""
    if not sure.any():
        return np.zeros(sure.shape, bool)
    pieces = Pieces(sure | around)
    return pieces.those(pieces.count(sure) > 0)


def at_least(mask: Mask, px: float) -> Mask:
    """Return the pieces of ``mask`` (h, w) that have at least ``px`` pixels."""
    if not mask.any():
        return mask
    pieces = Pieces(mask)
    return pieces.those(pieces.area >= px)


def _joints(
    above: NDArray[np.int32], first_above: int, below: NDArray[np.int32], first_below: int, connectivity: int
) -> NDArray[np.int64]:
    """Return (n, 2) which labels of two strips meet in the rows at their border."""
    pairs = [(above, below)]
    if connectivity == 8:
        pairs += [(above[1:], below[:-1]), (above[:-1], below[1:])]
    over, under = (np.concatenate(each).astype(np.int64) for each in zip(*pairs, strict=True))
    met = (over > 0) & (under > 0)
    return np.unique(np.stack([over[met] + first_above, under[met] + first_below], axis=1), axis=0)


def _boxes(piece: NDArray[np.int32], boxes: NDArray[np.int64], number: int) -> NDArray[np.int64]:
    """Return (number + 1, 4: x0, y0, x1, y1) of every piece from the ``boxes`` (x, y, width, height) of its labels."""
    found = np.zeros((number + 1, 4), np.int64)
    found[:, :2] = np.iinfo(np.int64).max
    np.minimum.at(found[:, :2], piece, boxes[:, :2])
    np.maximum.at(found[:, 2:], piece, boxes[:, :2] + boxes[:, 2:])
    return found


def _united(number: int, backgrounds: list[int], joints: list[NDArray[np.int64]]) -> NDArray[np.int32]:
    """Return (number,) the piece of every label: 0 for ``backgrounds``, and one for all that meet in ``joints``."""
    parent = list(range(number))

    def root(label: int) -> int:
        while parent[label] != label:
            parent[label] = parent[parent[label]]
            label = parent[label]
        return label

    for over, under in np.concatenate(joints).tolist() if joints else ():
        above, below = root(over), root(under)
        parent[max(above, below)] = min(above, below)
    roots = np.array([root(label) for label in range(number)], np.int64)
    if backgrounds:
        roots[backgrounds] = 0  # the first strip's background is label 0
    return np.unique(np.append(roots, 0), return_inverse=True)[1][:number].astype(np.int32)
