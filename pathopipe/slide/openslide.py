"""Slides through the OpenSlide library: every format that it opens, DICOM included.

Only this module imports ``openslide``. Label and macro pictures are never opened: they show patients' names. An
embedded ICC profile is not applied: models are trained on pixels as scanners write them.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import openslide
from numpy.typing import NDArray

from pathopipe.errors import SlideError
from pathopipe.geometry import Box
from pathopipe.slide import dicom, identity, scale, tiff
from pathopipe.slide.base import SlideInfo, SlideSpec
from pathopipe.slide.bounds import scanned
from pathopipe.slide.colour import on_white
from pathopipe.slide.levels import pyramid
from pathopipe.slide.pyramid import PyramidSlide
from pathopipe.slide.remarks import remarks

GENERIC_TIFF = "generic-tiff"
"""OpenSlide's vendor for every tiled TIFF that it knows nothing of; it makes colours of grey and 16-bit ones too."""
CELL = 256
"""Side of the blocks in which levels of a broken downsample are read; see :meth:`OpenSlidePixels.read_level`."""


class OpenSlideReader:
    """Opens slides with OpenSlide; the entry point "openslide"."""

    name = "openslide"

    def open(self, path: str, spec: SlideSpec) -> PyramidSlide:
        """Open the slide at ``path``: a file, or a folder that holds one DICOM series.

        Raises
        ------
        SlideError
            If OpenSlide does not open it; the message is OpenSlide's reason.
        """
        return PyramidSlide(*open_pixels(path, spec))


class OpenSlidePixels:
    """The pixels of an OpenSlide handle, reopened after an error.

    OpenSlide latches errors: once a tile fails, every later call on that handle fails. A handle that failed is given
    up for a fresh one and is never asked again. Other threads may have been reading through it and failed for no
    reason of their own, so a failed read is tried once more on a handle of its own; what fails there is broken.
    """

    def __init__(self, path: str, handle: openslide.OpenSlide) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._handle: openslide.OpenSlide | None = handle
        self._downsamples = tuple(handle.level_downsamples)

    def is_exact(self, index: int) -> bool:
        """Return whether OpenSlide gives the pixels of level ``index`` as they are, without interpolating."""
        return bool(self._downsamples[index].is_integer())

    def read_level(self, index: int, box: Box) -> NDArray[np.uint8]:
        """Return ``box`` of level ``index`` as RGB uint8 (height, width, 3).

        OpenSlide wants the place in whole level-0 pixels, divides it by its own downsample, the mean quotient of the
        sizes (4.00012, say), and interpolates what falls between pixels. At whole downsamples nothing falls between.
        At broken ones the level is read in blocks on a fixed grid: a place is then off by half a level-0 pixel at
        most, and comes out the same whichever box it is read in.

        Raises
        ------
        SlideError
            If OpenSlide cannot decode the pixels.
        """
        if self.is_exact(index):
            return self._read(index, box)
        result = np.empty((box.height, box.width, 3), np.uint8)
        for y in range(box.y0 // CELL * CELL, box.y1, CELL):
            for x in range(box.x0 // CELL * CELL, box.x1, CELL):
                cell = Box(x, y, min(x + CELL, box.x1), min(y + CELL, box.y1))
                part = cell.clipped(box)
                pixels = self._read(index, cell)[part.y0 - y :, part.x0 - x :]
                result[part.y0 - box.y0 : part.y1 - box.y0, part.x0 - box.x0 : part.x1 - box.x0] = pixels
        return result

    def _read(self, index: int, box: Box) -> NDArray[np.uint8]:
        handle = self._handle
        if handle is None:
            raise SlideError(f"{self._path} is closed")
        try:
            return _rgb(handle, index, box, self._downsamples[index])
        except openslide.OpenSlideError:
            self._replace(handle)
        try:
            with openslide.OpenSlide(self._path) as own:
                return _rgb(own, index, box, self._downsamples[index])
        except openslide.OpenSlideError as error:
            place = f"level {index}, x {box.x0}–{box.x1}, y {box.y0}–{box.y1}"
            raise SlideError(f"{self._path}: OpenSlide cannot decode {place}: {error}") from error

    def _replace(self, failed: openslide.OpenSlide) -> None:
        """Open a fresh handle in place of ``failed``, unless another thread has done so."""
        with self._lock:
            if self._handle is failed:
                # Not closed here: other threads may be inside it. It closes when the last of them lets go of it.
                self._handle = _opened(self._path)

    def close(self) -> None:
        """Release the file, as soon as no thread reads from it any more."""
        with self._lock:
            self._handle = None


def open_pixels(path: str, spec: SlideSpec) -> tuple[SlideInfo, OpenSlidePixels]:
    """Return the facts and pixels of the slide at ``path``: a file, or a folder that holds one DICOM series.

    Raises
    ------
    SlideError
        If OpenSlide does not open it; the message is OpenSlide's reason.
    """
    if "://" in path:
        raise SlideError("OpenSlide reads local files only")
    file = str(dicom.any_file(Path(path))) if Path(path).is_dir() else path
    handle = _opened(file)
    try:
        return _info(path, file, handle, spec), OpenSlidePixels(file, handle)
    except SlideError:
        handle.close()
        raise


def _rgb(handle: openslide.OpenSlide, index: int, box: Box, downsample: float) -> NDArray[np.uint8]:
    location = (round(box.x0 * downsample), round(box.y0 * downsample))
    rgba = np.asarray(handle.read_region(location, index, (box.width, box.height)))
    return on_white(rgba, premultiplied=False)  # openslide-python has divided by alpha already.


def _opened(path: str) -> openslide.OpenSlide:
    try:
        return openslide.OpenSlide(path)
    except openslide.OpenSlideUnsupportedFormatError:
        raise SlideError("not a format that OpenSlide knows") from None
    except openslide.OpenSlideError as error:
        raise SlideError(str(error).removeprefix(f"Reading {path}: ")) from None
    except OSError as error:
        raise SlideError(error.strerror or str(error)) from error


def _info(path: str, file: str, handle: openslide.OpenSlide, spec: SlideSpec) -> SlideInfo:
    properties: Mapping[str, str] = handle.properties
    if properties.get("openslide.vendor") == GENERIC_TIFF:
        tiff.check_file(file)
    levels = pyramid(handle.level_dimensions, _stated(handle))
    objective = scale.number(properties.get("openslide.objective-power"))
    found = scale.find_scale(_candidates(properties), spec.mpp, objective, spec.mpp_if_missing)
    bounds = scanned(properties, "openslide")
    everything = "\n".join(f"{key}={value}" for key, value in properties.items())
    return SlideInfo(
        path=path,
        reader=OpenSlideReader.name,
        width=levels[0].width,
        height=levels[0].height,
        levels=levels,
        scale_found=found.scale,
        scale_problem=found.problem,
        objective=objective,
        vendor=properties.get("openslide.vendor", "unknown"),
        bounds=bounds,
        identity=_identity(Path(file)),
        unusual=(*found.remarks, *remarks(levels, objective, bounds, everything)),
        decoding="by OpenSlide",
    )


def _stated(handle: openslide.OpenSlide) -> list[tuple[float, float] | None]:
    """Return the downsamples that the format states; None where OpenSlide made the mean quotient of the sizes."""
    width, height = handle.dimensions
    stated: list[tuple[float, float] | None] = []
    for (w, h), downsample in zip(handle.level_dimensions, handle.level_downsamples, strict=True):
        quotient = (width / w + height / h) / 2
        derived = abs(downsample - quotient) < 1e-9 * quotient
        stated.append(None if derived else (downsample, downsample))
    return stated


def _candidates(properties: Mapping[str, str]) -> list[scale.Candidate]:
    comment = properties.get("openslide.comment", "")
    x, y = properties.get("tiff.XResolution"), properties.get("tiff.YResolution")
    tag = scale.from_tiff_tag(x, y, properties.get("tiff.ResolutionUnit"))
    own = scale.from_properties(properties, "openslide.mpp-x", "openslide.mpp-y", "openslide.mpp-x")
    if properties.get("openslide.vendor") == GENERIC_TIFF and tag:
        own = []  # OpenSlide made it from the tag.
    return own + tag + scale.from_imagej(comment, x, y) + scale.from_comment(comment)


def _identity(file: Path) -> str:
    suffix = file.suffix.lower()
    if suffix == ".mrxs":
        folder = file.with_suffix("")
        return identity.of_parts([identity.of_file(file), identity.of_folder(folder, [folder / "Slidedat.ini"])])
    if suffix in (".vms", ".vmu"):
        named = [file.with_name(line.partition("=")[2].strip()) for line in file.read_text("latin-1").splitlines()]
        return identity.of_files([file, *(part for part in named if part.suffix and part.is_file())])
    if dicom.is_dicom(file):
        return identity.of_files(dicom.siblings(file))
    return identity.of_file(file)
