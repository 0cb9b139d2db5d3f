"""How ``tiles.zarr`` lies on disk: what its pixels are of, and the OME-Zarr metadata that viewers read.

A store is OME-Zarr (NGFF 0.5, zarr v3) of one slide at one mpp. Level "0" has the working pixels, level "1" the
low-power picture that the tissue was found on, where there is one: viewers are slow on one large level. All metadata
is written before the store gets its name, and never changed.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from pathopipe.errors import StoreError
from pathopipe.files import read_json, unwritable, write_json
from pathopipe.geometry import Frame
from pathopipe.slide.base import SlideInfo
from pathopipe.spec import Spec
from pathopipe.store.chunks import PARTIAL, ChunkFiles, array_metadata

FORMAT = 2
"""Version of the layout; a store of another version is not read."""

_KEY = "pathopipe"
_PICTURE_CHUNK_PX = 1024


class Layout(Spec):
    """What the pixels of a store are of: the attribute "pathopipe" of its group."""

    format: int
    """Version of the layout."""
    slide: str
    """``SlideInfo.identity``."""
    reader: str
    """Name of the reader: two readers' resampling may differ by a grey level."""
    width: int
    """Width in working pixels."""
    height: int
    """Height in working pixels."""
    mpp: float
    """Side of a working pixel in µm."""
    scale_x: float
    """Level-0 pixels per working pixel in x."""
    scale_y: float
    """Level-0 pixels per working pixel in y."""
    chunk_px: int
    """Side of a chunk in working pixels."""

    @classmethod
    def of(cls, info: SlideInfo, frame: Frame, chunk_px: int) -> Self:
        """Return the layout of a store of the slide in ``frame``."""
        return cls(
            format=FORMAT,
            slide=info.identity,
            reader=info.reader,
            width=frame.width,
            height=frame.height,
            mpp=frame.mpp,
            scale_x=frame.scale_x,
            scale_y=frame.scale_y,
            chunk_px=chunk_px,
        )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the layout of the store at ``path``.

        Raises
        ------
        StoreError
            If there is no tile store.
        """
        values = ((read_json(path / "zarr.json") or {}).get("attributes") or {}).get(_KEY)
        if not isinstance(values, dict):
            raise StoreError(f"{path} is not a tile store of pathopipe; remove it or choose another output folder")
        if values.get("format") != FORMAT:
            raise StoreError(
                f"{path} is a tile store of format {values.get('format')}, and this version of pathopipe has format "
                f"{FORMAT}; remove it or choose another output folder"
            )
        try:
            layout = cls.model_validate(values)
        except ValidationError as error:
            raise StoreError(f"{path} has damaged attributes; remove it or choose another output folder") from error
        if read_json(path / "0" / "zarr.json") != array_metadata(layout.height, layout.width, layout.chunk_px):
            raise StoreError(f"{path} has damaged metadata of its level; remove it or choose another output folder")
        return layout

    def check(self, path: Path, wanted: Layout) -> None:
        """Make sure that the store at ``path``, which has this layout, is the one ``wanted``.

        Raises
        ------
        StoreError
            If it is not; the message says in what they differ, and what to do.
        """
        if self == wanted:
            return
        told = {"chunk_px": "store.chunk_px"}
        mine, theirs = self.model_dump(), wanted.model_dump()
        differing = [name for name in mine if mine[name] != theirs[name]]
        listed = ", ".join(f"{told.get(name, name)} {mine[name]} instead of {theirs[name]}" for name in differing)
        raise StoreError(f"{path} holds other tiles ({listed}); remove it or choose another output folder")


def create(
    path: Path, layout: Layout, name: str, picture: NDArray[np.uint8] | None, picture_frame: Frame | None
) -> None:
    """Write an empty store at ``path``, whole or not at all; one that is there already stays.

    Parameters
    ----------
    path : Path
        Where ``tiles.zarr`` shall be.
    layout : Layout
        What its pixels will be of.
    name : str
        Shown by viewers.
    picture : (h, w, 3) uint8 or None
        The slide in ``picture_frame``, kept as level "1" where it is coarser than the working pixels.
    picture_frame : Frame or None
        The frame of ``picture``.

    Raises
    ------
    StoreError
        If the folder cannot be written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(part, ignore_errors=True)
        mpps = [layout.mpp]
        _create_level(part / "0", layout.height, layout.width, layout.chunk_px)
        if picture is not None and picture_frame is not None and picture_frame.mpp > layout.mpp:
            mpps.append(picture_frame.mpp)
            _save_picture(part / "1", picture)
        attributes = {"ome": _ome(name, mpps), _KEY: layout.model_dump()}
        write_json(part / "zarr.json", {"zarr_format": 3, "node_type": "group", "attributes": attributes})
        _name(part, path)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _name(part: Path, path: Path) -> None:
    """Rename the finished ``part`` to ``path``, unless another process was faster."""
    try:
        part.rename(path)
    except OSError:
        if not path.is_dir():
            raise


def _create_level(path: Path, height: int, width: int, chunk_px: int) -> None:
    path.mkdir(parents=True)
    write_json(path / "zarr.json", array_metadata(height, width, chunk_px))


def _save_picture(path: Path, picture: NDArray[np.uint8]) -> None:
    """Write ``picture`` (h, w, 3) as a level of its own, which is complete at once."""
    height, width = picture.shape[:2]
    px = min(_PICTURE_CHUNK_PX, max(height, width))
    _create_level(path, height, width, px)
    chunks = ChunkFiles(path, px)
    for row in range(-(-height // px)):
        for col in range(-(-width // px)):
            chunks.save(row, col, picture[row * px : (row + 1) * px, col * px : (col + 1) * px])


def _ome(name: str, mpps: list[float]) -> dict[str, Any]:
    """Return the attribute "ome" of NGFF 0.5 for levels of ``mpps`` µm per pixel, finest first."""
    space = {"type": "space", "unit": "micrometer"}
    datasets = []
    for level, mpp in enumerate(mpps):
        placed: list[dict[str, Any]] = [{"type": "scale", "scale": [1.0, mpp, mpp]}]
        if level:
            # NGFF places pixel centres, and the levels share their corner.
            shift = (mpp - mpps[0]) / 2
            placed.append({"type": "translation", "translation": [0.0, shift, shift]})
        datasets.append({"path": str(level), "coordinateTransformations": placed})
    return {
        "version": "0.5",
        "multiscales": [
            {
                "name": name,
                "axes": [{"name": "c", "type": "channel"}, {"name": "y", **space}, {"name": "x", **space}],
                "datasets": datasets,
            }
        ],
        "omero": {
            "channels": [
                {
                    "label": label,
                    "color": colour,
                    "active": True,
                    "window": {"min": 0, "max": 255, "start": 0, "end": 255},
                }
                for label, colour in (("Red", "FF0000"), ("Green", "00FF00"), ("Blue", "0000FF"))
            ],
            "rdefs": {"model": "color"},
        },
    }


def clear_partial(path: Path) -> int:
    """Remove the unfinished chunks that killed processes left in the store; return how many. No one may be writing."""
    parts = sorted(path.rglob(f"*{PARTIAL}"))
    for part in parts:
        part.unlink(missing_ok=True)
    return len(parts)


def discard(path: Path) -> bool:
    """Remove the tile store at ``path``, of whatever slide or format; return whether there was one.

    Raises
    ------
    StoreError
        If what is there is no tile store of pathopipe, or cannot be removed.
    """
    if not path.exists():
        return False
    if not _is_ours(path):
        raise StoreError(f"{path} is not a tile store of pathopipe, so it is not removed; choose another output folder")
    gone = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        path.rename(gone)  # at once: an interrupted removal leaves no half store under the name
        shutil.rmtree(gone)
    except OSError as error:
        raise StoreError(f"the old tile store {path} cannot be removed: {error}") from error
    return True


def _is_ours(path: Path) -> bool:
    """Return whether pathopipe made the folder; where its metadata is damaged, what else lies in it tells."""
    group = read_json(path / "zarr.json")
    if group is None:
        return (path / "0" / "fill.lock").is_file() or not (path / "0" / "c").exists()
    return _KEY in (group.get("attributes") or {})
