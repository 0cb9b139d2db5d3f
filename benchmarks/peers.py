"""Reading the tiles of a slide's tissue at the model's resolution: pathopipe, and other tools where they are installed.

    python benchmarks/peers.py [--folder DIR] [--tiles 200]

The same boxes for all, one thread each, processor time. Install what shall be compared (`pip install tiatoolbox`,
`lazyslide`, `dlup`) into an environment of its own beside pathopipe: their requirements differ.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
from drawn import drawn_slide
from rows import Row, main, skipped

from pathopipe.slide.base import SlideSpec
from pathopipe.slide.open import open_slide

MPP = 0.5
SIDE = 512
"""Of a tile at that resolution."""
Reads = Callable[[Path, list[tuple[int, int]]], int]
"""Reads the tiles whose corners are given in pixels at ``MPP``; returns how many pixels came."""


def rows(given: argparse.Namespace) -> Iterator[Row]:
    cv2.setNumThreads(1)
    side = 4096 if given.quick else 12_288
    slide = drawn_slide(given.folder, side, tissue_fraction=1.0)
    places = range(0, side // 2 - SIDE + 1, SIDE)
    corners = [(x, y) for y in places for x in places][: given.tiles]
    ours = rate(with_pathopipe, slide, corners)
    yield Row(f"pathopipe: tiles of {SIDE} px at {MPP} µm/px, one thread", ours, "MP/s")
    for name, package, reads in PEERS:
        if find_spec(package) is None:
            yield skipped(name, f"{package} is not installed")
            continue
        try:
            theirs = rate(reads, slide, corners)
        except (ImportError, AttributeError, TypeError, ValueError, OSError, RuntimeError) as error:
            yield skipped(name, f"{type(error).__name__}: {error}")
            continue
        yield Row(f"pathopipe beside {name}", ours, "MP/s", f"{name}: {theirs:.0f}", ours / theirs)


def rate(reads: Reads, slide: Path, corners: list[tuple[int, int]]) -> float:
    """Return megapixels a second of processor, the second time."""
    reads(slide, corners[:4])
    began = time.process_time()
    pixels = reads(slide, corners)
    return pixels / (time.process_time() - began) / 1e6


def with_pathopipe(path: Path, corners: list[tuple[int, int]]) -> int:
    from pathopipe.geometry import Box

    total = 0
    with open_slide(str(path), SlideSpec()) as slide:
        frame = slide.info.frame(MPP)
        for x, y in corners:
            tile = slide.read(frame.to_level0(Box(x, y, x + SIDE, y + SIDE)), SIDE, SIDE)
            total += tile.shape[0] * tile.shape[1]
    return total


def with_openslide(path: Path, corners: list[tuple[int, int]]) -> int:
    """The loop that everyone writes first: level 0, then reduced by area."""
    import openslide

    total = 0
    with openslide.OpenSlide(str(path)) as slide:
        factor = round(MPP / float(slide.properties["openslide.mpp-x"]))
        for x, y in corners:
            region = slide.read_region((x * factor, y * factor), 0, (SIDE * factor, SIDE * factor)).convert("RGB")
            tile = cv2.resize(np.asarray(region), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            total += tile.shape[0] * tile.shape[1]
    return total


def with_tiatoolbox(path: Path, corners: list[tuple[int, int]]) -> int:
    from tiatoolbox.wsicore.wsireader import WSIReader

    reader, total = WSIReader.open(path), 0
    for x, y in corners:
        tile = reader.read_rect((x, y), (SIDE, SIDE), resolution=MPP, units="mpp", coord_space="resolution")
        total += tile.shape[0] * tile.shape[1]
    return total


def with_lazyslide(path: Path, corners: list[tuple[int, int]]) -> int:
    """LazySlide reads through wsidata."""
    from wsidata import open_wsi

    slide, total = open_wsi(str(path)), 0
    factor = round(MPP / slide.properties.mpp)
    for x, y in corners:
        region = slide.read_region(x * factor, y * factor, SIDE * factor, SIDE * factor, level=0)
        tile = cv2.resize(np.asarray(region)[..., :3], (SIDE, SIDE), interpolation=cv2.INTER_AREA)
        total += tile.shape[0] * tile.shape[1]
    return total


def with_dlup(path: Path, corners: list[tuple[int, int]]) -> int:
    from dlup import SlideImage

    total = 0
    with SlideImage.from_file_path(path) as slide:
        scaling = slide.get_scaling(MPP)
        for x, y in corners:
            region = slide.read_region((x, y), scaling, (SIDE, SIDE))
            tile = np.asarray(region.numpy() if hasattr(region, "numpy") else region)
            total += tile.shape[0] * tile.shape[1]
    return total


PEERS: tuple[tuple[str, str, Reads], ...] = (
    ("OpenSlide, read_region of level 0", "openslide", with_openslide),
    ("TIAToolbox, read_rect", "tiatoolbox", with_tiatoolbox),
    ("LazySlide, read_region of level 0", "wsidata", with_lazyslide),
    ("dlup, read_region", "dlup", with_dlup),
)


def more_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--tiles", type=int, default=144)


if __name__ == "__main__":
    main(__doc__, rows, more_options)
