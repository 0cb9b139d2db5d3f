"""What is not tissue: the colour of the empty glass, scanner padding, and pictures that are no brightfield at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.tiling.pieces import Pieces
from pathopipe.tiling.ranks import median
from pathopipe.tiling.strips import Strip, by_strips, strips

_DARK = 50  # grey level: brightfield tissue averaged over 8 µm is brighter
_BLACK = 16  # padding is 0, and JPEG makes a little more of it
_BRIGHT = 120
_PURE = 254  # brighter in all channels is padding, or a scanner's clipped white
_LEAST = 0.005  # part of the picture that must be glass to be believed
_UNSEEN = 240.0  # of an ordinary scanner; taken where no glass is in the picture

ROUGH_MARGIN = 2
"""Rows around that :func:`roughness` looks at."""


@dataclass(frozen=True, slots=True)
class Glass:
    """How the empty glass looks in one picture."""

    colour: tuple[float, float, float]
    """RGB, 0 to 255."""
    roughness: float
    """Median local standard deviation of its brightness, in grey levels."""
    seen: bool
    """Whether it was measured; False where there is none in the picture and an ordinary one is assumed."""


def brightness(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (h, w) the mean of the channels, 0 to 255."""
    red, green, blue = cv2.split(rgb)  # planes: NumPy is slow along an axis of three
    total = np.add(red, green, dtype=np.uint16)
    total += blue
    return total * np.float32(1 / 3)


def is_dark_field(rgb: NDArray[np.uint8]) -> bool:
    """Return whether the picture is light on black, such as fluorescence.

    Mostly dark is not enough: scanners pad with black. But around padding the slide is bright, whereas the signal of
    fluorescence fades into the dark.
    """
    dark = shown = bright = 0
    for strip in strips(rgb.shape):
        light = brightness(rgb[strip.rows])
        dark += int(np.count_nonzero(light < _DARK))
        shown += int(np.count_nonzero(light > _DARK / 2))
        bright += int(np.count_nonzero(light > _BRIGHT))
    if dark <= rgb.shape[0] * rgb.shape[1] / 2:
        return False
    return bright <= shown / 2


def black_padding(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return (h, w) where the picture is black from its border on, with two pixels around for the blurred edge.

    Padding is black throughout; dark tissue that is cut by the border is so in spots.
    """

    def brightest(strip: Strip) -> NDArray[np.uint8]:
        red, green, blue = cv2.split(rgb[strip.rows])
        return np.asarray(np.maximum(np.maximum(red, green), blue), np.uint8)

    black = by_strips(rgb.shape, lambda strip: brightest(strip) < _DARK)
    if not black.any():
        return black
    pieces = Pieces(black, connectivity=4)
    mean = pieces.sum(brightest) / np.maximum(pieces.area, 1)
    padding = pieces.those(pieces.at_rim & (mean <= _BLACK))
    return cv2.dilate(padding.view(np.uint8), np.ones((5, 5), np.uint8)).view(bool)


def roughness(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (h, w) the standard deviation of the brightness in 5 × 5 pixels, in grey levels."""
    bright = brightness(rgb) - 128
    mean = cv2.boxFilter(bright, -1, (5, 5), borderType=cv2.BORDER_REFLECT)
    square = cv2.boxFilter(bright * bright, -1, (5, 5), borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.sqrt(np.maximum(square - mean * mean, 0)), np.float32)


def find_glass(rgb: NDArray[np.uint8], padding: NDArray[np.bool_]) -> Glass:
    """Measure the glass: bright, smooth, hardly coloured and not pink.

    Of several such brightnesses (thick mountant, a coverslip's rim, out-of-focus pale tissue) the brightest common one
    is the glass. Pure white counts only where there is nothing else, since scanners pad with it.

    Parameters
    ----------
    rgb : (h, w, 3) uint8
        Low-power picture.
    padding : (h, w) bool
        What to leave out.
    """
    least = max(25.0, _LEAST * (padding.size - np.count_nonzero(padding)))
    for candidates in (_plain, _pure):
        counts = np.zeros(256, np.int64)
        for seen in _looked_at(rgb, padding):
            counts += np.bincount(brightness(seen.rgb)[candidates(seen)].astype(np.uint8), minlength=256)
        if counts.sum() >= least:
            return _measure(rgb, padding, candidates, _mode(counts))
    return Glass((_UNSEEN,) * 3, 0.5, seen=False)


class _Seen(NamedTuple):
    """A strip of the picture that glass is looked for in."""

    rgb: NDArray[np.uint8]
    rough: NDArray[np.float32]
    """Its :func:`roughness`."""
    padding: NDArray[np.bool_]


def _looked_at(rgb: NDArray[np.uint8], padding: NDArray[np.bool_]) -> Iterator[_Seen]:
    for strip in strips(rgb.shape, ROUGH_MARGIN):
        yield _Seen(rgb[strip.rows], roughness(rgb[strip.read])[strip.inner], padding[strip.rows])


def _pure(seen: _Seen) -> NDArray[np.bool_]:
    red, green, blue = cv2.split(seen.rgb)
    return np.asarray((np.minimum(np.minimum(red, green), blue) >= _PURE) & ~seen.padding)


def _plain(seen: _Seen) -> NDArray[np.bool_]:
    red, green, blue = cv2.split(seen.rgb)
    low, high = np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)
    plain = (high >= 150) & (low >= 120) & (low < _PURE) & (high - low <= 45) & (seen.rough < 2) & ~seen.padding
    plain &= np.add(red, blue, dtype=np.int16) - 12 <= np.multiply(green, 2, dtype=np.int16)
    return np.asarray(plain)


def _mode(counts: NDArray[np.int64]) -> int:
    """Return the brightest common level of ``counts`` (256,)."""
    common = np.convolve(counts, np.ones(5), mode="same")
    mode = int(np.flatnonzero(common >= 0.3 * common.max())[-1])
    # The last common level is on the bright flank of the mode: its peak is at most some levels below.
    return mode - 6 + int(np.argmax(common[mode - 6 : mode + 1]))


def _measure(
    rgb: NDArray[np.uint8], padding: NDArray[np.bool_], candidates: Callable[[_Seen], NDArray[np.bool_]], mode: int
) -> Glass:
    """Return the glass that the candidates about as bright as ``mode`` show."""

    def near(seen: _Seen) -> NDArray[np.bool_]:
        return np.asarray(candidates(seen) & (np.abs(brightness(seen.rgb) - mode) <= 4))

    levels = np.zeros((3, 256), np.int64)
    for seen in _looked_at(rgb, padding):
        for channel, level in enumerate(seen.rgb[near(seen)].T):
            levels[channel] += np.bincount(level, minlength=256)
    red, green, blue = (_median(counts) for counts in levels)
    rough = median(lambda: (seen.rough[near(seen)] for seen in _looked_at(rgb, padding)))
    return Glass((red, green, blue), rough or 0.0, seen=True)


def _median(counts: NDArray[np.int64]) -> float:
    """Return the median of whole numbers of which there are ``counts``."""
    past, number = np.cumsum(counts), int(counts.sum())
    low, high = np.searchsorted(past, [(number - 1) // 2, number // 2], side="right")
    return float(low + high) / 2
