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


def is_dark_field(rgb: NDArray[np.uint8]) -> bool:
    """Return whether the picture is light on black, such as fluorescence.

    Mostly dark is not enough: scanners pad with black. But around padding the slide is bright, whereas the signal of
    fluorescence fades into the dark.
    """
    bright = rgb.mean(axis=2)
    if (bright < _DARK).mean() <= 0.5:
        return False
    shown = bright[bright > _DARK / 2]
    return len(shown) == 0 or bool((shown > _BRIGHT).mean() < 0.5)


def black_padding(rgb: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Return (h, w) where the picture is black from its border on, with two pixels around for the blurred edge.

    Padding is black throughout; dark tissue that is cut by the border is so in spots.
    """
    brightest = rgb.max(axis=2)
    black = (brightest < _DARK).astype(np.uint8)
    number, labels = cv2.connectedComponents(black, connectivity=4)
    sizes = np.bincount(labels.ravel(), minlength=number)
    mean = np.bincount(labels.ravel(), brightest.ravel(), number) / np.maximum(sizes, 1)
    padding = np.zeros(number, np.uint8)
    padding[np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])] = 1
    padding[mean > _BLACK] = 0
    padding[0] = 0
    return cv2.dilate(padding[labels], np.ones((5, 5), np.uint8)).astype(bool)


def roughness(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return (h, w) the standard deviation of the brightness in 5 × 5 pixels, in grey levels."""
    bright = rgb.astype(np.float32).mean(axis=2) - 128
    mean = cv2.boxFilter(bright, -1, (5, 5), borderType=cv2.BORDER_REFLECT)
    square = cv2.boxFilter(bright * bright, -1, (5, 5), borderType=cv2.BORDER_REFLECT)
    return np.asarray(np.sqrt(np.maximum(square - mean * mean, 0)), np.float32)


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
    low, high = rgb.min(axis=2), rgb.max(axis=2)
    red, green, blue = (rgb[..., channel].astype(np.int16) for channel in range(3))
    plain = (high >= 150) & (low >= 120) & (high - low <= 45) & (2 * green >= red + blue - 12) & (rough < 2) & ~padding
    pure = (low >= _PURE) & ~padding
    least = max(25.0, _LEAST * float((~padding).sum()))
    for candidates in (plain & ~pure, pure):
        if candidates.sum() >= least:
            return _measure(rgb[candidates], rough[candidates])
    return Glass((_UNSEEN,) * 3, 0.5, seen=False)


def _measure(colours: NDArray[np.uint8], rough: NDArray[np.float32]) -> Glass:
    bright = colours.mean(axis=1)
    counts = np.bincount(bright.astype(np.int64), minlength=256)
    common = np.convolve(counts, np.ones(5), mode="same")
    mode = int(np.flatnonzero(common >= 0.3 * common.max())[-1])
    # The last common level is on the bright flank of the mode: its peak is at most some levels below.
    mode = mode - 6 + int(np.argmax(common[mode - 6 : mode + 1]))
    near = np.abs(bright - mode) <= 4
    red, green, blue = (float(value) for value in np.median(colours[near], axis=0))
    return Glass((red, green, blue), float(np.median(rough[near])), seen=True)
