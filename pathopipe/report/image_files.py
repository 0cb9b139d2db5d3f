"""Pixels of an image that outlines lie on: a plain picture or a slide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.annotations.spec import AnnotationSpec, origin
from pathopipe.errors import LimitError, SlideError
from pathopipe.geometry import Rect
from pathopipe.pictures import BROKEN, open_picture
from pathopipe.slide.open import open_slide

Read = Callable[[Rect, int, int], NDArray[np.uint8]]
"""Takes a rectangle in the frame of the outlines, width and height; returns RGB (height, width, 3)."""
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp")
_OUTSIDE = (205, 205, 205)


@contextmanager
def open_image(path: Path) -> Iterator[Read]:
    """Open a PNG, JPEG or BMP picture, or anything that pathopipe reads as a slide, to read pieces of it.

    Outlines of slides are taken to count from where QuPath does, which crops some. What lies outside a picture is grey,
    outside a slide white.

    Raises
    ------
    SlideError
        If the file cannot be read.
    """
    if path.suffix.lower() in _PICTURES:
        yield _picture(path)
        return
    with open_slide(path) as slide:
        x, y = origin(slide.info, AnnotationSpec())

        def read(rect: Rect, width: int, height: int) -> NDArray[np.uint8]:
            return slide.read(Rect(rect.x0 + x, rect.y0 + y, rect.x1 + x, rect.y1 + y), width, height)

        yield read


def _picture(path: Path) -> Read:
    try:
        with open_picture(path) as image:
            pixels = np.asarray(image.convert("RGB"))
    except LimitError:
        raise
    except BROKEN as error:
        raise SlideError(f"cannot read the image {path} ({error})") from error

    def read(rect: Rect, width: int, height: int) -> NDArray[np.uint8]:
        # The centre of pixel (0, 0) of the result, and how far its pixels are apart on the picture.
        step_x, step_y = rect.width / width, rect.height / height
        matrix = np.array(
            [[step_x, 0, rect.x0 + step_x / 2 - 0.5], [0, step_y, rect.y0 + step_y / 2 - 0.5]], np.float64
        )
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        moved = cv2.warpAffine(
            pixels, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT, borderValue=_OUTSIDE
        )
        return np.asarray(moved, np.uint8)

    return read
