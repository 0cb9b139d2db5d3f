"""Which names are slides, before anything is opened."""

from __future__ import annotations

from pathlib import Path

EXTENSIONS = frozenset(
    [".svs", ".tif", ".tiff", ".btf", ".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".svslide", ".dcm", ".qptiff"]
)
"""Files of these extensions are slides when a folder is searched. Pictures (.png, .jpg) are not: an output folder or a
slide's thumbnails would be taken for slides. A ``.czi`` is not: no reader here opens it."""

OUTPUT = ("run.json", "summary.csv")
"""A folder with both is the output of a run."""
TILE_STORE = "tiles.zarr"
"""pathopipe's own copy of a slide's tiles, which is no slide of its own unless named."""

ZARR_METADATA = ("zarr.json", ".zgroup")
"""A folder with one of these inside is a Zarr."""


def is_slide_file(path: Path) -> bool:
    """Return whether the file's extension is one that slides have."""
    return path.suffix.lower() in EXTENSIONS


def is_zarr(path: Path) -> bool:
    """Return whether ``path`` is a Zarr folder, by its name or what lies inside."""
    return path.is_dir() and (path.suffix.lower() == ".zarr" or any((path / name).is_file() for name in ZARR_METADATA))


def is_output(folder: Path) -> bool:
    """Return whether ``folder`` holds the results of a run, whose tile stores would be taken for slides."""
    return all((folder / name).is_file() for name in OUTPUT)
