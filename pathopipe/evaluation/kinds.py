"""What is wrong where an object has no partner: not there, in pieces, together with others, or badly outlined.

Missed, split and merged nuclei are counted apart since Caicedo et al. 2019, "Evaluation of deep learning strategies for
nucleus segmentation in fluorescence images" (Cytometry A 95); the levels are our own, as theirs are of other overlaps.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from pathopipe.evaluation.pairs import Pairs

_SEEN = 0.2
"""Part of an object that the other set must cover, else it was not seen at all."""
_MOST = 0.5
"""Part of an object from which it lies in another one."""
_PIECE = 0.1
"""Part of an object from which another one that lies in it is a piece of it."""


class Kind(IntEnum):
    """What became of an object of the one set in the other."""

    FOUND = 0
    """It has a partner."""
    ALONE = 1
    """Hardly anything of it is covered by the other set."""
    IN_PIECES = 2
    """Two or more objects of the other set lie in it."""
    TOGETHER = 3
    """One object of the other set holds it and others."""
    OUTLINE = 4
    """None of these: it was seen, and outlined too differently for a partner."""


MISSES = {
    Kind.ALONE: "not_found",
    Kind.IN_PIECES: "split",
    Kind.TOGETHER: "merged",
    Kind.OUTLINE: "badly_outlined",
}
"""What a true object without a partner is called."""
FALSE_ALARMS = {
    Kind.ALONE: "nothing_there",
    Kind.IN_PIECES: "several_in_one",
    Kind.TOGETHER: "piece_of_one",
    Kind.OUTLINE: "badly_outlined",
}
"""What a predicted object without a partner is called."""


def kinds(pairs: Pairs) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return (n,) and (k,) :class:`Kind` of each object of the first and of the second set."""
    return _kinds(pairs, 0), _kinds(pairs, 1)


def counts(of: NDArray[np.int8]) -> tuple[int, ...]:
    """Return how many there are of each :class:`Kind`."""
    return tuple(np.bincount(of, minlength=len(Kind)).tolist())


def _kinds(pairs: Pairs, side: int) -> NDArray[np.int8]:
    own, other = pairs.index[:, side], pairs.index[:, 1 - side]
    areas = (pairs.first, pairs.second)
    of_own, of_other = pairs.overlap / areas[side][own], pairs.overlap / areas[1 - side][other]
    number, others = len(areas[side]), len(areas[1 - side])
    seen = np.bincount(own, of_own, number) >= _SEEN
    pieces = np.bincount(own[(of_other > _MOST) & (of_own > _PIECE)], minlength=number)
    held = of_own > _MOST
    crowded = np.bincount(other[held], minlength=others) > 1
    together = np.bincount(own[held & crowded[other]], minlength=number) > 0
    found = np.zeros(number, np.bool_)
    found[pairs.index[pairs.partners, side]] = True
    which = [Kind.FOUND, Kind.ALONE, Kind.IN_PIECES, Kind.TOGETHER]
    return np.select([found, ~seen, pieces > 1, together], which, Kind.OUTLINE).astype(np.int8)
