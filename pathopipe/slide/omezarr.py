"""Slides kept as OME-Zarr: multiscales of NGFF 0.4 and 0.5, local or at a URL; pathopipe's own tile store is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from fsspec.core import url_to_fs
from numpy.typing import NDArray

from pathopipe.errors import SlideError
from pathopipe.geometry import Box
from pathopipe.slide import identity, scale
from pathopipe.slide.base import Level, SlideInfo, SlideSpec
from pathopipe.slide.levels import pyramid
from pathopipe.slide.pyramid import PyramidSlide
from pathopipe.slide.remarks import remarks

_BROKEN = (OSError, ValueError, KeyError, IndexError, TypeError, RuntimeError, ArithmeticError, ImportError)
_RGB = ("FF0000", "00FF00", "0000FF")


class OmeZarrReader:
    """Opens OME-Zarr folders; the entry point "omezarr"."""

    name = "omezarr"

    def open(self, path: str, spec: SlideSpec) -> PyramidSlide:
        """Open the OME-Zarr at ``path``, a folder or a URL.

        Raises
        ------
        SlideError
            If it is no OME-Zarr, or not one of RGB pixels of 8 bits.
        """
        if "://" not in path and not Path(path).is_dir():
            raise SlideError("a file, not an OME-Zarr folder")
        try:
            image = _image(zarr.open_group(path, mode="r"))
            info = _info(path, image, spec)
        except _BROKEN as error:
            if isinstance(error, SlideError):
                raise
            missing = isinstance(error, FileNotFoundError)
            raise SlideError("no Zarr group" if missing else f"{type(error).__name__}: {error}") from error
        return PyramidSlide(info, OmeZarrPixels(path, image))


class _Image:
    """The multiscale image of a Zarr group: arrays, finest first, and what its metadata say of them."""

    def __init__(self, group: zarr.Group, multiscale: Mapping[str, Any]) -> None:
        axes = multiscale.get("axes") or []
        if not axes or not all(isinstance(axis, Mapping) for axis in axes):
            raise SlideError("an OME-Zarr before NGFF 0.4, without named axes: convert it to 0.4 or 0.5")
        self.group = group
        self.axes = [str(axis["name"]) for axis in axes]
        self.units = {str(axis["name"]): axis.get("unit") for axis in axes}
        self.paths = [str(dataset["path"]) for dataset in multiscale["datasets"]]
        self.arrays = [_array(group, path) for path in self.paths]
        whole = _scale(multiscale.get("coordinateTransformations"), len(axes))
        self.scales = [
            [a * b for a, b in zip(_scale(dataset.get("coordinateTransformations"), len(axes)), whole, strict=True)]
            for dataset in multiscale["datasets"]
        ]

    def sizes(self) -> list[tuple[int, int]]:
        """Return (width, height) of every level."""
        x, y = self.axes.index("x"), self.axes.index("y")
        return [(int(array.shape[x]), int(array.shape[y])) for array in self.arrays]


class OmeZarrPixels:
    """The pixels of a multiscale image; Zarr arrays may be read from several threads."""

    def __init__(self, path: str, image: _Image) -> None:
        self._path = path
        self._axes = image.axes
        self._arrays: list[zarr.Array[Any]] | None = image.arrays

    def read_level(self, index: int, box: Box) -> NDArray[np.uint8]:
        """Return ``box`` of level ``index`` as RGB uint8 (height, width, 3). Missing chunks are the fill value.

        Raises
        ------
        SlideError
            If a chunk cannot be decoded.
        """
        if self._arrays is None:
            raise SlideError(f"{self._path} is closed")
        wanted: dict[str, slice | int] = {"y": slice(box.y0, box.y1), "x": slice(box.x0, box.x1), "c": slice(None)}
        try:
            pixels = np.asarray(self._arrays[index][tuple(wanted.get(axis, 0) for axis in self._axes)], np.uint8)
        except _BROKEN as error:
            place = f"level {index}, x {box.x0}–{box.x1}, y {box.y0}–{box.y1}"
            raise SlideError(f"{self._path}: Zarr cannot decode {place}: {error}") from error
        kept = [axis for axis in self._axes if axis in wanted]
        return np.ascontiguousarray(pixels.transpose([kept.index(axis) for axis in "yxc"]))

    def close(self) -> None:
        """Let go of the arrays."""
        self._arrays = None


def _image(group: zarr.Group) -> _Image:
    attributes = dict(group.attrs)
    if "bioformats2raw.layout" in attributes:
        inner = group["0"]
        if isinstance(inner, zarr.Group):
            group, attributes = inner, dict(inner.attrs)
    ome: Any = attributes.get("ome", attributes)
    multiscales = ome.get("multiscales") if isinstance(ome, Mapping) else None
    if not multiscales:
        raise SlideError("a Zarr group without NGFF multiscales")
    image = _Image(group, multiscales[0])
    _require_rgb(image, ome)
    return image


def _require_rgb(image: _Image, ome: Mapping[str, Any]) -> None:
    """Refuse what is not one brightfield picture in colour.

    Raises
    ------
    SlideError
        If there are other axes, several time points or planes, other channels than RGB, or other than 8 bits.
    """
    first = image.arrays[0]
    lengths = dict(zip(image.axes, first.shape, strict=True))
    if not {"x", "y", "c"} <= set(lengths) or not set(lengths) <= set("tczyx"):
        raise SlideError(f"axes {','.join(image.axes)}: RGB brightfield with axes c, y, x is needed")
    for axis in "tz":
        if lengths.get(axis, 1) != 1:
            raise SlideError(f"{lengths[axis]} positions along {axis}: a single picture is needed")
    if lengths["c"] != 3 or str(first.dtype) != "uint8":
        raise SlideError(f"{lengths['c']} channel(s) of type {first.dtype}: RGB brightfield of 8 bits is needed")
    channels = (ome.get("omero") or {}).get("channels") or []
    colours = tuple(str(channel.get("color", "")).upper()[:6] for channel in channels)
    if len(colours) == 3 and all(colours) and colours != _RGB:
        raise SlideError(f"channels coloured {', '.join(colours)}, not red, green, blue: this is not brightfield")


def _array(group: zarr.Group, path: str) -> zarr.Array[Any]:
    array = group[path]
    if not isinstance(array, zarr.Array):
        raise SlideError(f"its level {path} is no array")
    return array


def _scale(transformations: Sequence[Mapping[str, Any]] | None, axes: int) -> list[float]:
    """Return the scale per axis. Translations are left out: writers state none or half a pixel for the same picture."""
    for transformation in transformations or ():
        if transformation.get("type") == "scale":
            return [float(value) for value in transformation["scale"]]
    return [1.0] * axes


def _levels(image: _Image) -> tuple[Level, ...]:
    """Return the levels with the downsample that the scales state, unless that is the mere quotient of the sizes."""
    sizes = image.sizes()
    x, y = image.axes.index("x"), image.axes.index("y")
    stated: list[tuple[float, float] | None] = []
    for (width, height), factors in zip(sizes, image.scales, strict=True):
        told = (factors[x] / image.scales[0][x], factors[y] / image.scales[0][y])
        quotient = (sizes[0][0] / width, sizes[0][1] / height)
        silent = told == (1.0, 1.0) and quotient != (1.0, 1.0)
        derived = np.allclose(told, quotient, rtol=1e-6, atol=0)
        stated.append(None if silent or derived else told)
    return pyramid(sizes, stated)


def _info(path: str, image: _Image, spec: SlideSpec) -> SlideInfo:
    levels = _levels(image)
    x, y = image.axes.index("x"), image.axes.index("y")
    # Without a unit the numbers state nothing: 1.0 is what writers put where they do not know.
    micron_x, micron_y = scale.microns(image.units["x"]), scale.microns(image.units["y"])
    candidates = []
    if micron_x and micron_y:
        at = (image.scales[0][x] * micron_x, image.scales[0][y] * micron_y)
        candidates.append(scale.Candidate(*at, "OME-Zarr coordinateTransformations", "reader"))
    found = scale.find_scale(candidates, spec.mpp, None, spec.mpp_if_missing)
    return SlideInfo(
        path=path,
        reader=OmeZarrReader.name,
        width=levels[0].width,
        height=levels[0].height,
        levels=levels,
        scale_found=found.scale,
        scale_problem=found.problem,
        objective=None,
        vendor="ome-zarr",
        bounds=None,
        identity=_identity(path, image),
        unusual=(*found.remarks, *remarks(levels, None, None)),
        decoding="by Zarr",
    )


def _identity(path: str, image: _Image) -> str:
    facts = [repr((name, array.shape)) for name, array in zip(image.paths, image.arrays, strict=True)]
    if "://" not in path:
        folder = Path(path)
        named = [file for pattern in ("*", "*/*", "*/*/*") for file in folder.glob(f"{pattern}") if _is_metadata(file)]
        return identity.of_parts([identity.of_folder(folder, named), *facts])
    # Listing a remote store can take minutes: only the smallest level's chunks are looked at.
    files, root = url_to_fs(path)
    smallest = "/".join(part for part in (root.rstrip("/"), image.group.path, image.paths[-1]) if part)
    listing = files.find(smallest, detail=True)
    sizes = [f"{name.removeprefix(smallest)} {listing[name]['size']}" for name in sorted(listing)]
    return identity.of_parts([repr(sorted(image.group.attrs.asdict().items())), *facts, *sizes])


def _is_metadata(file: Path) -> bool:
    return file.name in ("zarr.json", ".zattrs", ".zgroup", ".zarray", ".zmetadata")
