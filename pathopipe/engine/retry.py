"""A tile that fails is tried once more, alone and on fresh handles, and then set aside: which errors are a tile's own.

Whatever else goes wrong (a disk that is full, a model file that is damaged, a slide that is gone, a mistake in the
code) is no tile's fault. It ends the work on the slide at once, so that thousands of tiles are not set aside for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import cv2
import shapely.errors

from pathopipe.errors import PathopipeError, SlideError, one_line
from pathopipe.tiling.grid import Tile
from pathopipe.traces import trace_of

Outcome = TypeVar("Outcome")

TILE_FAULTS = (
    OSError,  # SlideError and what a disk or a network says while the slide is read
    MemoryError,
    RuntimeError,  # torch's, its OutOfMemoryError included; also what codecs raise
    ArithmeticError,
    LookupError,
    ValueError,
    cv2.error,
    shapely.errors.ShapelyError,
)
"""What reading a tile, or the model on its pixels, may raise."""


def check_tiles_own(error: BaseException) -> None:
    """Raise ``error``, one of ``TILE_FAULTS``, again if it is not the fault of the tile that was being worked on."""
    if isinstance(error, PathopipeError) and not isinstance(error, SlideError):
        raise error


def each_or_aside(
    tiles: Sequence[Tile],
    work: Callable[[Sequence[Tile]], list[Outcome]],
    renew: Callable[[], object],
    aside: Callable[[Tile, str, str], Outcome],
) -> list[Outcome]:
    """Return what ``work`` says about ``tiles``, and what ``aside`` says of those that fail twice.

    Parameters
    ----------
    tiles : sequence of Tile
        Worked on together; one by one only where that fails.
    work : callable
        Does the work, all of it again if it is called again.
    renew : callable
        Opens the slide anew. What it raises is the whole slide's fault.
    aside : callable
        Called with a tile, why it failed, in one line, and the traceback.

    Raises
    ------
    PathopipeError
        Of another kind than SlideError, from ``work``; any from ``renew``.
    """
    try:
        return work(tiles)
    except TILE_FAULTS as error:
        check_tiles_own(error)
    if len(tiles) > 1:
        return [outcome for tile in tiles for outcome in each_or_aside((tile,), work, renew, aside)]
    renew()
    try:
        return work(tiles)
    except TILE_FAULTS as error:
        check_tiles_own(error)
        return [aside(tiles[0], one_line(error), trace_of(error))]
