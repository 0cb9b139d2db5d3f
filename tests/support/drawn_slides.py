"""Slides whose every pixel is known, written as scanners and converters write them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

APERIO = "Aperio Image Library v12.0.15 \r\n{w}x{h} [0,0 {w}x{h}] (256x256) JPEG/RGB Q=90|AppMag = {power}|MPP = {mpp}"


def noise(width: int, height: int, seed: int = 0) -> Pixels:
    """Return random RGB pixels: no two places look alike."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def halved(pixels: Pixels, factor: int) -> Pixels:
    """Return means of ``factor`` × ``factor`` blocks, the odd rest dropped as scanners do."""
    height, width = pixels.shape[0] // factor, pixels.shape[1] // factor
    blocks = pixels[: height * factor, : width * factor].reshape(height, factor, width, factor, -1)
    return np.floor(blocks.mean(axis=(1, 3)) + 0.5).astype(np.uint8)


def write_tiff(path: Path, levels: Sequence[Pixels], mpp: float | None = None, **options: Any) -> Path:
    """Write a generic tiled pyramidal TIFF, without loss unless ``options`` give a compression."""
    keys: dict[str, Any] = {"tile": (256, 256), "photometric": "rgb", "compression": "zlib", "metadata": None} | options
    if mpp is not None:
        keys |= {"resolution": (10000 / mpp, 10000 / mpp), "resolutionunit": "CENTIMETER"}
    with tifffile.TiffWriter(path) as writer:
        for index, level in enumerate(levels):
            writer.write(level, subfiletype=1 if index else 0, **keys)
            keys.pop("description", None)
    return path


def write_svs(
    path: Path, levels: Sequence[Pixels], mpp: str = "0.25", power: str = "40", description: str | None = None
) -> Path:
    """Write what Aperio scanners write: level 0, a thumbnail, then the other levels."""
    height, width = levels[0].shape[:2]
    text = description if description is not None else APERIO.format(w=width, h=height, mpp=mpp, power=power)
    keys: dict[str, Any] = {"photometric": "rgb", "compression": "jpeg", "compressionargs": {"level": 95}}
    keys["metadata"] = None
    with tifffile.TiffWriter(path) as writer:
        writer.write(levels[0], tile=(256, 256), description=text, **keys)
        writer.write(levels[-1][:64, :64].copy(), description=text, **keys)
        for level in levels[1:]:
            writer.write(level, tile=(256, 256), description=text, subfiletype=0, **keys)
    return path


def write_ome_zarr(
    path: Path | str,
    levels: Sequence[Pixels],
    axes: str = "cyx",
    mpp: float | None = 0.5,
    version: str = "0.5",
    factors: Sequence[float] | None = None,
    unit: str | None = "micrometer",
) -> Path | str:
    """Write NGFF multiscales of axes "cyx", "tczyx" or "yxc" with chunks of 64."""
    group = zarr.open_group(path, mode="w", zarr_format=3 if version == "0.5" else 2)
    datasets = []
    for index, level in enumerate(levels):
        array = level.transpose(["yxc".index(axis) for axis in axes if axis in "yxc"])
        for place, axis in enumerate(axes):
            if axis in "tz":
                array = np.expand_dims(array, place)
        chunks = tuple(64 if axis in "yx" else 1 for axis in axes)
        stored = group.create_array(str(index), shape=array.shape, chunks=chunks, dtype="uint8", fill_value=255)
        stored[...] = array
        quotient = {axis: levels[0].shape[place] / level.shape[place] for place, axis in enumerate("yx")}
        factor = dict.fromkeys("yx", factors[index]) if factors else quotient
        scale = [(mpp or 1.0) * factor[axis] if axis in "yx" else 1.0 for axis in axes]
        datasets.append({"path": str(index), "coordinateTransformations": [{"type": "scale", "scale": scale}]})
    kinds = {"c": "channel", "t": "time"}
    named: list[dict[str, str]] = [{"name": axis, "type": kinds.get(axis, "space")} for axis in axes]
    for axis in named:
        if axis["name"] in "yx" and unit:
            axis["unit"] = unit
    multiscales = [{"name": "drawn", "axes": named, "datasets": datasets}]
    if version == "0.5":
        group.attrs["ome"] = {"version": "0.5", "multiscales": multiscales}
    else:
        group.attrs["multiscales"] = [multiscales[0] | {"version": "0.4"}]
    return path
