"""What is not tissue: the colour of the empty glass, scanner padding, and pictures that are no brightfield at all."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

_DARK = 50  # grey level: brightfield tissue averaged over 8 µm is brighter
_BLACK = 16  # padding is 0, and JPEG makes a little more of it
_BRIGHT = 120
_PURE = 254  # brighter in all channels is padding, or a scanner's clipped white
_LEAST = 0.005  # part of the picture that must be glass to be believed
_UNSEEN = 240.0  # of an ordinary scanner; taken where no glass is in the picture


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
    bright = brightness(rgb)
    if np.count_nonzero(bright < _DARK) <= bright.size / 2:
        return False
    shown = np.count_nonzero(bright > _DARK / 2)
    return bool(np.count_nonzero(bright > _BRIGHT) <= shown / 2)


def black_padding(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return (h, w) where the picture is black from its border on, with two pixels around for the blurred edge.

    Padding is black throughout; dark tissue that is cut by the border is so in spots.
    """
    red, green, blue = cv2.split(rgb)
    brightest = np.maximum(np.maximum(red, green), blue)
    black = brightest < _DARK
    number, labels = cv2.connectedComponents(black.astype(np.uint8), connectivity=4)
    inside = labels[black]
    mean = np.bincount(inside, brightest[black], number) / np.maximum(np.bincount(inside, minlength=number), 1)
    padding = np.zeros(number, np.uint8)
    padding[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = 1
    padding[mean > _BLACK] = 0
    padding[0] = 0
    return cv2.dilate(padding[labels], np.ones((5, 5), np.uint8)).astype(bool)


def roughness(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (h, w) the standard deviation of the brightness in 5 × 5 pixels, in grey levels."""
    bright = brightness(rgb) - 128
    mean = cv2.boxFilter(bright, -1, (5, 5), borderType=cv2.BORDER_REFLECT)
    square = cv2.boxFilter(bright * bright, -1, (5, 5), borderType=cv2.BORDER_REFLECT)
    return np.asarray(cv2.sqrt(np.maximum(square - mean * mean, 0)), np.float32)


def find_glass(rgb: NDArray[np.uint8], rough: NDArray[np.float32], padding: NDArray[np.bool_]) -> Glass:
    """Measure the glass: bright, smooth, hardly coloured and not pink.

    Of several such brightnesses (thick mountant, a coverslip's rim, out-of-focus pale tissue) the brightest common one
    is the glass. Pure white counts only where there is nothing else, since scanners pad with it.

    Parameters
    ----------
    rgb : (h, w, 3) uint8
        Low-power picture.
    rough : (h, w) float32
        Its :func:`roughness`.
    padding : (h, w) bool
        What to leave out.
    """
    red, green, blue = cv2.split(rgb)
    low, high = np.minimum(np.minimum(red, green), blue), np.maximum(np.maximum(red, green), blue)
    pure = (low >= _PURE) & ~padding
    plain = (high >= 150) & (low >= 120) & (high - low <= 45) & (rough < 2) & ~padding & ~pure
    plain &= np.add(red, blue, dtype=np.int16) - 12 <= np.multiply(green, 2, dtype=np.int16)
    least = max(25.0, _LEAST * (padding.size - np.count_nonzero(padding)))
    for candidates in (plain, pure):
        if np.count_nonzero(candidates) >= least:
            return _measure(rgb[candidates], rough[candidates])
    return Glass((_UNSEEN,) * 3, 0.5, seen=False)


def _measure(colours: NDArray[np.uint8], rough: NDArray[np.float32]) -> Glass:
    """Return the glass that the candidates (n, 3) show."""
    bright = brightness(colours[np.newaxis])[0]
    counts = np.bincount(bright.astype(np.uint8), minlength=256)
    common = np.convolve(counts, np.ones(5), mode="same")
    mode = int(np.flatnonzero(common >= 0.3 * common.max())[-1])
    # The last common level is on the bright flank of the mode: its peak is at most some levels below.
    mode = mode - 6 + int(np.argmax(common[mode - 6 : mode + 1]))
    near = np.abs(bright - mode) <= 4
    red, green, blue = (float(value) for value in np.median(colours[near], axis=0))
    return Glass((red, green, blue), float(np.median(rough[near])), seen=True)
