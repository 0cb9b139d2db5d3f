"""Open a slide with the reader that can."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import cast

from pathopipe import registry
from pathopipe.errors import LimitError, MissingDependencyError, SlideError, UnreadableSlideError
from pathopipe.geometry import Rect
from pathopipe.limits import LIMITS, LimitsSpec
from pathopipe.slide.base import Reader, Slide, SlideInfo, SlideSpec
from pathopipe.slide.dicom import series_in
from pathopipe.slide.header import check_header
from pathopipe.slide.kinds import is_zarr

BUILT_IN = ("direct", "openslide", "tiffslide", "omezarr")
"""Asked first, in this order; then other packages' readers by name."""


def open_slide(path: str | Path, spec: SlideSpec | None = None, limits: LimitsSpec | None = LIMITS) -> Slide:
    """Open the slide at ``path``.

    Parameters
    ----------
    path : str or Path
        A file, a folder that is one slide (DICOM series, ``.zarr``), or a URL that fsspec knows (s3://, memory://).
    spec : SlideSpec, optional
        Which reader, and the user's mpp.
    limits : LimitsSpec or None
        What the file may ask for; None where another process has made sure of it.

    Raises
    ------
    UnreadableSlideError
        If no reader opens it and decodes a pixel of it; lists what each of them says.
    LimitError
        If the slide is larger, or asks for more memory, than ``limits`` allow.
    SlideError
        If the file is missing, empty, not allowed to be read, or a folder that is no slide.
    ConfigError
        If the reader that ``spec`` names does not exist.
    """
    spec = spec or SlideSpec()
    text = os.fspath(path)
    if "://" not in text:
        _check_local(Path(text))
        _check_folder(Path(text))
    if limits is not None:
        check_header(text, limits)
    reasons: dict[str, str] = {}
    for name in _readers(spec.reader):
        try:
            reader = cast(Reader, registry.load("pathopipe.readers", name)())
            return _decoding(_within(limits, reader.open(text, spec)))
        except (SlideError, MissingDependencyError) as error:
            reasons[name] = _short(str(error), text)
        except ImportError as error:
            reasons[name] = f"the reader cannot be loaded: {error}"
    raise UnreadableSlideError(text, reasons)


def pinned(spec: SlideSpec, info: SlideInfo) -> SlideSpec:
    """Return ``spec`` such that other processes open the slide with the reader that opened it here."""
    return spec.model_copy(update={"reader": info.reader}) if info.reader in BUILT_IN else spec


def _readers(asked: str) -> tuple[str, ...]:
    if asked != "auto":
        return (asked,)
    there = registry.names("pathopipe.readers")
    return (*(name for name in BUILT_IN if name in there), *(name for name in there if name not in BUILT_IN))


def _within(limits: LimitsSpec | None, slide: Slide) -> Slide:
    """Return ``slide`` if it is no larger than ``limits`` allow."""
    if limits is not None:
        try:
            limits.check("max_slide_px", slide.info.width * slide.info.height, f"{slide.info.path}: pixels")
            limits.check("max_levels", len(slide.info.levels), f"{slide.info.path}: levels")
        except LimitError:
            slide.close()
            raise
    return slide


def _decoding(slide: Slide) -> Slide:
    """Return ``slide`` after reading one pixel of its smallest level: a header may be fine where the pixels are not."""
    info = slide.info
    level = info.levels[-1]
    x, y = info.width / 2, info.height / 2
    try:
        slide.read(Rect(x, y, x + level.downsample_x, y + level.downsample_y), 1, 1)
    except SlideError:
        slide.close()
        raise
    return slide


def _check_local(path: Path) -> None:
    try:
        status = path.stat()
        if path.is_dir():
            os.scandir(path).close()
        else:
            path.open("rb").close()
    except OSError as error:
        raise SlideError(_why(error, path)) from error
    if not path.is_dir() and status.st_size == 0:
        raise SlideError(f"{path} is empty (0 bytes): copy it again")


def _check_folder(path: Path) -> None:
    """Tell a folder of slides from a slide that is a folder; another package's reader may know more kinds."""
    others = set(registry.names("pathopipe.readers")) - set(BUILT_IN)
    if not path.is_dir() or others or is_zarr(path) or series_in(path):
        return
    raise SlideError(f"{path} is a folder, not a slide (neither OME-Zarr nor a DICOM series): name a slide inside it")


def _why(error: OSError, path: Path) -> str:
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        dangling = " (a link to a file that is gone)" if path.is_symlink() else ""
        return f"{path} does not exist{dangling}"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"{path} may not be read: no permission"
    return f"{path} cannot be read: {error.strerror}"


def _short(reason: str, path: str) -> str:
    """Return a reader's reason on one line, without the path that the error names anyway."""
    return " ".join(reason.replace(f"{path}: ", "").split())[:300]
