"""Slides through tiffslide: URLs of every fsspec file system, and TIFF files that OpenSlide refuses.

tiffslide reads the levels with tifffile, whose codecs (WebP, Zstandard, JPEG XL, plain strips) OpenSlide lacks. An
embedded ICC profile is not applied.
"""

from __future__ import annotations

import struct
import sys
import warnings
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray
from tifffile import TiffFileError, TiffPageSeries
from tiffslide import TiffSlide

from pathopipe.errors import SlideError
from pathopipe.geometry import Box
from pathopipe.slide import identity, scale, tiff
from pathopipe.slide.base import SlideInfo, SlideSpec
from pathopipe.slide.bounds import scanned
from pathopipe.slide.colour import on_white
from pathopipe.slide.levels import pyramid
from pathopipe.slide.pyramid import PyramidSlide
from pathopipe.slide.remarks import remarks

PREMULTIPLIED = 1
"""TIFF's ExtraSamples value for alpha that the colours are already multiplied with."""

# What tifffile, tiffslide and the codecs raise on files that are damaged or of an unforeseen kind.
_BROKEN = (
    OSError, ValueError, KeyError, IndexError, TypeError, AttributeError, AssertionError, RuntimeError, ImportError,
    ArithmeticError, struct.error, TiffFileError, ElementTree.ParseError,
)  # fmt: skip


class TiffSlideReader:
    """Opens TIFF slides with tiffslide; the entry point "tiffslide"."""

    name = "tiffslide"

    def open(self, path: str, spec: SlideSpec) -> PyramidSlide:
        """Open the TIFF at ``path``, a local file or a URL that fsspec knows.

        Raises
        ------
        SlideError
            If it is no TIFF, or not one of RGB pixels of 8 bits.
        """
        if "://" not in path and Path(path).is_dir():
            raise SlideError("a folder, not a TIFF file")
        try:
            handle = TiffSlide(path)
        except TiffFileError:
            raise SlideError("not a TIFF file") from None
        except _failures() as error:
            raise SlideError(_told(error)) from error
        try:
            info = _info(path, handle, spec)
        except _failures() as error:
            handle.close()
            raise error if isinstance(error, SlideError) else SlideError(_told(error)) from error
        return PyramidSlide(info, TiffSlidePixels(path, handle, info))


class TiffSlidePixels:
    """The pixels of a TIFF; tiffslide keeps a view of its own for every thread."""

    def __init__(self, path: str, handle: TiffSlide, info: SlideInfo) -> None:
        self._path = path
        self._handle = handle
        self._sizes = tuple((level.width, level.height) for level in info.levels)
        self._downsamples = handle.level_downsamples
        extra = _series(handle).keyframe.extrasamples
        self._premultiplied = bool(extra) and int(extra[0]) == PREMULTIPLIED
        self._transparent = bool(extra) and int(extra[0]) != 0

    def read_level(self, index: int, box: Box) -> NDArray[np.uint8]:
        """Return ``box`` of level ``index`` as RGB uint8 (height, width, 3).

        Raises
        ------
        SlideError
            If tifffile cannot decode the pixels.
        """
        # tiffslide wants level-0 pixels and divides by its downsample, dropping the fraction: rounded up, the place
        # comes back as the very pixel of the level.
        downsample = self._downsamples[index]
        location = (_up(box.x0, downsample), _up(box.y0, downsample))
        try:
            pixels = self._handle.read_region(location, index, (box.width, box.height), as_array=True, padding=False)
        except _failures() as error:
            place = f"level {index}, x {box.x0}–{box.x1}, y {box.y0}–{box.y1}"
            raise SlideError(f"{self._path}: tiffslide cannot decode {place}: {_told(error)}") from error
        if pixels.shape[2] == 3 or not self._transparent:
            return np.ascontiguousarray(pixels[..., :3], np.uint8)
        return on_white(np.ascontiguousarray(pixels[..., :4], np.uint8), premultiplied=self._premultiplied)

    def close(self) -> None:
        """Release the file."""
        self._handle.close()


def _up(place: int, downsample: float) -> int:
    """Return the lowest level-0 pixel that tiffslide takes for ``place`` of a level."""
    location = int(place * downsample)
    while int(location / downsample) < place:
        location += 1
    return location


def _info(path: str, handle: TiffSlide, spec: SlideSpec) -> SlideInfo:
    with warnings.catch_warnings():
        # tiffslide warns that it reads only some of Hamamatsu's and Ventana's metadata; what is missing is absent.
        warnings.simplefilter("ignore", UserWarning)
        properties = handle.properties
    series = _series(handle)
    channels = {"YXS": series.shape[-1], "CYX": series.shape[0]}.get(properties["tiffslide.series-axes"], 1)
    tiff.check_page(series.keyframe, channels)
    for level in series.levels:
        level.keyframe.nodata = 255  # Tiles that a sparse slide leaves out are white.
    levels = pyramid(handle.level_dimensions)
    objective = scale.number(properties.get("tiffslide.objective-power"))
    found = scale.find_scale(_candidates(properties), spec.mpp, objective, spec.mpp_if_missing)
    bounds = scanned(properties, "tiffslide")
    everything = "\n".join(f"{key}={value}" for key, value in properties.items() if value is not None)
    return SlideInfo(
        path=path,
        reader=TiffSlideReader.name,
        width=levels[0].width,
        height=levels[0].height,
        levels=levels,
        scale_found=found.scale,
        scale_problem=found.problem,
        objective=objective,
        vendor=properties.get("tiffslide.vendor") or "generic-tiff",
        bounds=bounds,
        identity=_identity(handle),
        unusual=(*found.remarks, *remarks(levels, objective, bounds, everything)),
        decoding="by tifffile",
    )


def _series(handle: TiffSlide) -> TiffPageSeries:
    series: TiffPageSeries = handle.ts_tifffile.series[handle.properties.get("tiffslide.series-index", 0)]
    return series


def _candidates(properties: dict[str, Any]) -> list[scale.Candidate]:
    comment = str(properties.get("tiff.ImageDescription") or "")
    x, y = properties.get("tiff.XResolution"), properties.get("tiff.YResolution")
    tag = scale.from_tiff_tag(x, y, properties.get("tiff.ResolutionUnit"))
    own = scale.from_properties(properties, "tiffslide.mpp-x", "tiffslide.mpp-y", "tiffslide.mpp-x")
    if own and tag and (own[0].x, own[0].y) == (tag[0].x, tag[0].y):
        own = []  # tiffslide took it from the tag.
    return own + tag + scale.from_imagej(comment, x, y) + scale.from_comment(comment)


def _identity(handle: TiffSlide) -> str:
    stream = handle.ts_tifffile.filehandle
    return identity.of_stream(stream, stream.size)


def _told(error: BaseException) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, ImportError) and "s3fs" in str(error):
        return "s3:// needs s3fs: pip install 'pathopipe[s3]'"
    return f"{type(error).__name__}: {error}" if not isinstance(error, SlideError) else str(error)


def _failures() -> tuple[type[Exception], ...]:
    """Return what files and file systems fail with; cloud storage adds its own errors once its packages are loaded."""
    named = (("botocore.exceptions", "BotoCoreError"), ("aiohttp", "ClientError"))
    modules = [(sys.modules.get(module), name) for module, name in named]
    return _BROKEN + tuple(getattr(module, name) for module, name in modules if module is not None)
