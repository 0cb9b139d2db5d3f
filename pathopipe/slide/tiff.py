"""Which TIFF pages are brightfield in colour; readers would turn the others into colours without a word."""

from __future__ import annotations

from typing import Any

from tifffile import PHOTOMETRIC, TiffFile, TiffFileError

from pathopipe.errors import SlideError


def check_file(path: str) -> None:
    """Refuse a TIFF file whose first page is not RGB of 8 bits.

    Raises
    ------
    SlideError
        With the reason.
    """
    try:
        with TiffFile(path) as file:
            page = file.pages.first
    except (TiffFileError, IndexError):
        return  # Another library opened it: nothing is known against it.
    check_page(page, page.samplesperpixel)


def check_page(page: Any, channels: int) -> None:
    """Refuse a tifffile page that is not RGB of 8 bits.

    Raises
    ------
    SlideError
        If the pixels are grey, of other channels, or not of 8 bits.
    """
    if str(page.dtype) != "uint8":
        raise SlideError(f"pixels of type {page.dtype}, {channels} channel(s): RGB brightfield of 8 bits is needed")
    photometric = page.photometric
    if photometric not in (PHOTOMETRIC.RGB, PHOTOMETRIC.YCBCR) or channels not in (3, 4):
        kind = getattr(photometric, "name", str(photometric)).lower()
        raise SlideError(f"{channels} channel(s) of kind {kind}: RGB brightfield of 8 bits is needed")
