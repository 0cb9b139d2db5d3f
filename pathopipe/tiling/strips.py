"""A picture worked on some rows at a time: what is computed of it takes little memory, however large it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_PX = 2**19
"""Pixels of a strip: some 2 MB a plane of float32."""
_LEAST_ROWS = 64
"""Of a strip of a very wide picture, whose margins would else be most of it."""

Of = Callable[["Strip"], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Strip:
    """Whole rows of a picture."""

    start: int
    """First row."""
    stop: int
    """Past the last."""
    above: int
    """Rows before ``start`` that are looked at too: the margin, or what there is of it."""
    below: int

    @property
    def rows(self) -> slice:
        """Of the picture: what this strip answers for."""
        return slice(self.start, self.stop)

    @property
    def read(self) -> slice:
        """Of the picture: :attr:`rows` with the margin."""
        return slice(self.start - self.above, self.stop + self.below)

    @property
    def inner(self) -> slice:
        """Where :attr:`rows` are within :attr:`read`."""
        return slice(self.above, self.above + self.stop - self.start)


def strips(shape: tuple[int, ...], margin: int = 0) -> Iterator[Strip]:
    """Yield the strips that cover a picture of ``shape`` (h, w, …) from top to bottom, each with ``margin`` rows.

    They are the same whatever the margin.
    """
    height, width = shape[:2]
    step = max(_LEAST_ROWS, _PX // width)
    for start in range(0, height, step):
        stop = min(start + step, height)
        yield Strip(start, stop, min(margin, start), min(margin, height - stop))


def by_strips(shape: tuple[int, ...], of: Of, margin: int = 0) -> NDArray[np.bool_]:
    """Return the mask (h, w) bool of what ``of`` says of the rows of every strip with ``margin``."""
    mask = np.empty(shape[:2], bool)
    for strip in strips(shape, margin):
        mask[strip.rows] = of(strip)
    return mask
