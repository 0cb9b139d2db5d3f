"""Pictures that others made (PNG, JPEG, BMP, TIFF): their size is known before their pixels fill the memory."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from pathopipe.errors import LimitError
from pathopipe.limits import LIMITS, LimitsSpec

BROKEN = (
    OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, TypeError, AttributeError, OverflowError,
    RuntimeError, MemoryError, struct.error, zlib.error,
)  # fmt: skip
"""What Pillow, numpy and tifffile raise on damaged files; Pillow says SyntaxError of a broken PNG."""


@contextmanager
def open_picture(path: Path, limits: LimitsSpec = LIMITS, cure: str = "") -> Iterator[Image.Image]:
    """Open a picture whose pixels have not been decoded yet.

    Raises
    ------
    LimitError
        If it has more pixels than ``limits.max_image_px``.
    """
    # Pillow's own bound is a warning at 89 megapixels and an error at 179, whatever the user allows.
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
    try:
        with Image.open(path) as image:
            limits.check("max_image_px", image.width * image.height, f"{path}: pixels", cure)
            yield image
    finally:
        Image.MAX_IMAGE_PIXELS = before


def check_training_picture(path: Path) -> None:
    """Refuse a picture too large to train on; one that Pillow does not know is left to who decodes it.

    Raises
    ------
    LimitError
        If it has more pixels than ``limits.max_image_px`` by default.
    """
    try:
        with open_picture(path, cure="cut it into tiles"):
            pass
    except LimitError:
        raise
    except BROKEN:
        return
