"""Tile reading with other tools, each as its own documentation shows it; run by ``peers.py``, in any environment.

    python benchmarks/peer_tools.py TOOL JOB.json TILES.npy

Needs nothing of pathopipe, so that a tool can live in an environment of its own. The job names the slide, the
resolution and the places; the first tiles are written for the caller to look at, and what was measured goes to stdout
as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import Any

KEPT = 8
"""Tiles that are written for the caller."""
ROUNDS = 2
Tiles = Iterator[Any]


@dataclass(frozen=True)
class Job:
    """What is to be read."""

    slide: str
    mpp: float
    """Resolution of the tiles, in µm per pixel."""
    factor: int
    """Level-0 pixels to one of these, along each axis."""
    side: int
    """Of a tile, in pixels at that resolution."""
    corners: list[list[int]]
    """(x, y) of the tiles' top left pixels at that resolution."""


@dataclass(frozen=True)
class Tool:
    """A way to read tiles."""

    title: str
    modules: tuple[str, ...]
    """What must be installed, by the names that are imported."""
    package: str
    """Whose version is told."""
    boxes: Callable[[Job], Tiles]
    """Yields the tiles of the job as arrays (y, x, c)."""
    tissue: Callable[[Job], Tiles] | None = None
    """Finds the tissue itself and yields its tiles; None where the tool does not do that."""


def openslide_boxes(job: Job) -> Tiles:
    """The loop that everyone writes first: level 0, then reduced by area."""
    import numpy as np
    import openslide

    span = job.side * job.factor
    with openslide.OpenSlide(job.slide) as slide:
        for x, y in job.corners:
            region = slide.read_region((x * job.factor, y * job.factor), 0, (span, span)).convert("RGB")
            yield np.asarray(region.reduce(job.factor))


def tiatoolbox_boxes(job: Job) -> Tiles:
    from tiatoolbox.wsicore.wsireader import WSIReader

    reader = WSIReader.open(job.slide)
    for corner in job.corners:
        yield reader.read_rect(
            tuple(corner), (job.side, job.side), resolution=job.mpp, units="mpp", coord_space="resolution"
        )


def tiatoolbox_tissue(job: Job) -> Tiles:
    from tiatoolbox.tools.patchextraction import get_patch_extractor

    yield from get_patch_extractor(
        "slidingwindow",
        input_img=Path(job.slide),
        input_mask="otsu",
        patch_size=(job.side, job.side),
        stride=(job.side, job.side),
        resolution=job.mpp,
        units="mpp",
    )


def lazyslide_boxes(job: Job) -> Tiles:
    """LazySlide reads through wsidata, at a level; its tiles are resized as it resizes them, by OpenCV."""
    import cv2
    from wsidata import open_wsi

    slide, span = open_wsi(job.slide), job.side * job.factor
    for x, y in job.corners:
        region = slide.read_region(x * job.factor, y * job.factor, span, span, level=0)
        yield cv2.resize(region, (job.side, job.side), interpolation=cv2.INTER_AREA)


def lazyslide_tissue(job: Job) -> Tiles:
    import lazyslide
    from wsidata import open_wsi

    slide = open_wsi(job.slide)
    lazyslide.pp.find_tissues(slide)
    lazyslide.pp.tile_tissues(slide, job.side, mpp=job.mpp)
    for tile in slide.iter.tile_images("tiles"):
        yield tile.image


def dlup_boxes(job: Job) -> Tiles:
    import numpy as np
    from dlup import SlideImage

    with SlideImage.from_file_path(job.slide) as slide:
        scaling = slide.get_scaling(job.mpp)
        for corner in job.corners:
            yield np.asarray(slide.read_region(tuple(corner), scaling, (job.side, job.side)))


def cucim_boxes(job: Job) -> Tiles:
    """cuCIM reads at a level; reduced by OpenCV."""
    import cv2
    import numpy as np
    from cucim import CuImage

    slide, span = CuImage(job.slide), job.side * job.factor
    for x, y in job.corners:
        region = np.asarray(slide.read_region((x * job.factor, y * job.factor), (span, span), level=0))
        yield cv2.resize(region, (job.side, job.side), interpolation=cv2.INTER_AREA)


TOOLS: dict[str, Tool] = {
    "openslide": Tool("OpenSlide, read_region of level 0", ("openslide",), "openslide-python", openslide_boxes),
    "tiatoolbox": Tool("TIAToolbox", ("tiatoolbox",), "tiatoolbox", tiatoolbox_boxes, tiatoolbox_tissue),
    "lazyslide": Tool("LazySlide", ("lazyslide", "wsidata"), "lazyslide", lazyslide_boxes, lazyslide_tissue),
    "dlup": Tool("dlup", ("dlup",), "dlup", dlup_boxes),
    "cucim": Tool("cuCIM on the CPU", ("cucim",), "cucim-cu12", cucim_boxes),
}


def installed(tool: Tool) -> str | None:
    """Return the version of ``tool``, None where it is not installed here."""
    if not all(find_spec(module) for module in tool.modules):
        return None
    try:
        return version(tool.package)
    except PackageNotFoundError:
        return "of unknown version"


def measured(tiles: Callable[[Job], Tiles], job: Job) -> dict[str, float]:
    """Return the processor seconds of all threads, and how many tiles and pixels came; the better of some rounds."""
    best: dict[str, float] = {}
    for _ in range(ROUNDS):
        began, count, pixels = time.process_time(), 0, 0
        for tile in tiles(job):
            count, pixels = count + 1, pixels + tile.shape[0] * tile.shape[1]
        seconds = time.process_time() - began
        if not best or seconds < best["seconds"]:
            best = {"seconds": seconds, "tiles": count, "pixels": pixels}
    return best


def main(name: str, job_path: str, tiles_path: str) -> None:
    import numpy as np

    tool = TOOLS[name]
    found = installed(tool)
    if found is None:
        sys.exit(f"{' or '.join(tool.modules)} is not installed")
    job = Job(**json.loads(Path(job_path).read_text(encoding="utf-8")))
    first = [np.asarray(tile)[..., :3] for tile in islice(tool.boxes(job), KEPT)]
    np.save(tiles_path, np.stack(first))
    told: dict[str, Any] = {"version": found, "boxes": measured(tool.boxes, job), "tissue": None, "problem": None}
    if tool.tissue is not None:
        try:
            told["tissue"] = measured(tool.tissue, job)
        except Exception as error:  # a tool's own, of any kind; the boxes were measured all the same
            told["problem"] = f"{type(error).__name__}: {error}"
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
