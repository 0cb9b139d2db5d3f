"""How fast pixels come out of a JPEG slide, in megapixels of level 0 a CPU second of one thread.

    python benchmarks/decode.py [--folder DIR] [--quick] [--slide FILE]

Compared are OpenSlide as most use it, tiffslide, the bare codec on compressed tiles in memory, and ``Slide.read`` in
the chunks of the tile store, all of the same region. Without a slide, of a drawn one: JPEG 4:2:0 in tiles of 256. The
ways take turns, and the least of many short rounds counts: what else runs on the machine only adds. Memory is kept when
it is freed, as in workers, for all of them.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import openslide
import simplejpeg
import tifffile
from drawn import drawn_slide
from PIL import Image
from rows import Row, main
from tiffslide import TiffSlide
from turns import least

from pathopipe.engine.heap import keep_freed_memory
from pathopipe.geometry import Box
from pathopipe.slide import SlideSpec, open_slide
from pathopipe.slide.direct import fast_memory
from pathopipe.store.spec import StoreSpec

SIDE, QUICK_SIDE = 8192, 4096
REGION = 2048
"""Side of what is read, in level-0 pixels."""
ROUNDS, QUICK_ROUNDS = 25, 2
TILE = 256
OPENSLIDE_CACHE_BYTES = 2**25
"""As OpenSlide has it by default."""
UNIT = "MP/s a core"
Ways = dict[str, Callable[[], object]]


def rows(given: argparse.Namespace) -> Iterator[Row]:
    """Yield the rates, at the level's resolution and at what the model needs."""
    keep_freed_memory()
    cv2.setNumThreads(1)
    side, rounds = (QUICK_SIDE, QUICK_ROUNDS) if given.quick else (SIDE, ROUNDS)
    path = given.slide or drawn_slide(given.folder, side, tissue_fraction=1.0)
    box = middle(path)
    yield from compared("at the level's resolution", level_ways(path, box), box, rounds, peer="tiffslide")
    yield from compared("at half of it (0.25 to 0.5 µm/px)", half_ways(path, box, 2.0), box, rounds)
    yield from compared("at 1/1.98 of it (0.2525 to 0.5 µm/px)", half_ways(path, box, 0.5 / 0.2525), box, rounds)


def compared(what: str, ways: Ways, box: Box, rounds: int, peer: str = "") -> Iterator[Row]:
    """Yield how fast ``ways["ours"]`` is beside the naive loop, the codec and a peer."""
    seconds = least(ways, rounds)
    rate = {name: box.area / 1e6 / took for name, took in seconds.items()}
    ours, naive, codec = rate["ours"], rate["naive"], rate["codec"]
    loop = f"OpenSlide, read_region(256).convert('RGB'): {naive:.0f}"
    # Between whole factors every pixel is averaged: the codec cannot do that.
    whole = "1.98" not in what
    note = f"with every tile in OpenSlide's cache: {rate['warm']:.0f}" if "warm" in rate else ""
    yield Row(f"Slide.read {what}", ours, UNIT, loop, ours / naive, at_least=5 if whole else None, note=note)
    yield Row(
        f"Slide.read {what}", ours, UNIT, f"the bare codec: {codec:.0f}", ours / codec, at_least=0.8 if whole else None
    )
    yield Row(
        f"Slide.read {what}", ours, UNIT, f"the same by OpenSlide: {rate['openslide']:.0f}", ours / rate["openslide"]
    )
    if "copied" in rate:
        copied = f"the bare codec, tiles put together to chunks: {rate['copied']:.0f}"
        yield Row(f"Slide.read {what}", ours, UNIT, copied, ours / rate["copied"])
    if peer:
        yield Row(f"Slide.read {what}", ours, UNIT, f"{peer}: {rate[peer]:.0f}", ours / rate[peer])


def level_ways(path: Path, box: Box) -> Ways:
    """Return the ways to the pixels as they are."""
    loop, tiff = openslide.OpenSlide(str(path)), TiffSlide(path)
    tiles, memory = raw(path, box), fast_memory(TILE, TILE)
    places, large = list(corners(box, TILE)), list(corners(box, 1024))
    return {
        "naive": lambda: one_by_one(region.convert("RGB") for region in first_time(loop, places)),
        "warm": lambda: one_by_one(loop.read_region(at, 0, (TILE, TILE)).convert("RGB") for at in places),
        "tiffslide": lambda: one_by_one(tiff.read_region(at, 0, (1024, 1024), as_array=True) for at in large),
        "codec": lambda: one_by_one(simplejpeg.decode_jpeg(tile, "RGB", buffer=memory) for tile in tiles),
        "copied": lambda: one_by_one(put_together(tiles, memory)),
        "imagecodecs": lambda: one_by_one(imagecodecs.jpeg8_decode(tile, out=memory) for tile in tiles),
        "openslide": reading(path, box, 1, "openslide"),
        "ours": reading(path, box, 1, "auto"),
    }


def put_together(tiles: list[bytes], memory: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the chunks that ``tiles`` fill, decoded and copied into place: what no reader of chunks can avoid."""
    across = StoreSpec().chunk_px // TILE
    for start in range(0, len(tiles), across**2):
        chunk = np.empty((across * TILE, across * TILE, 3), np.uint8)
        for place, tile in enumerate(tiles[start : start + across**2]):
            y, x = (each * TILE for each in divmod(place, across))
            chunk[y : y + TILE, x : x + TILE] = simplejpeg.decode_jpeg(tile, "RGB", buffer=memory)
        yield chunk


def half_ways(path: Path, box: Box, scale: float) -> Ways:
    """Return the ways to pixels of ``scale`` level-0 pixels; the codec decodes to a half of the sides."""
    loop, half = openslide.OpenSlide(str(path)), TILE // 2
    tiles, memory = raw(path, box), fast_memory(half, half)
    places = list(corners(box, TILE))
    return {
        "naive": lambda: one_by_one(region.convert("RGB").reduce(2) for region in first_time(loop, places)),
        "codec": lambda: one_by_one(
            simplejpeg.decode_jpeg(tile, "RGB", min_height=half, min_width=half, buffer=memory) for tile in tiles
        ),
        "openslide": reading(path, box, scale, "openslide"),
        "ours": reading(path, box, scale, "auto"),
    }


def first_time(slide: openslide.OpenSlide, places: Iterable[tuple[int, int]]) -> Iterator[Image.Image]:
    """Yield the tiles at ``places`` as a loop over a slide meets them, each for the first time.

    In later rounds all would be in OpenSlide's cache, as no loop over a slide finds them.
    """
    slide.set_cache(openslide.OpenSlideCache(OPENSLIDE_CACHE_BYTES))
    return (slide.read_region(at, 0, (TILE, TILE)) for at in places)


def reading(path: Path, box: Box, scale: float, reader: str) -> Callable[[], object]:
    """Return what reads ``box`` at ``scale`` level-0 pixels a pixel as the tile store does, chunk by chunk."""
    slide, side = open_slide(path, SlideSpec(reader=reader)), StoreSpec().chunk_px
    frame = slide.info.frame(slide.info.scale.x * scale)
    # Rounded up: what lies beyond the box is read too, and not counted.
    working = Box(*(round(edge / scale) // side * side for edge in box))
    chunks = [Box(x, y, x + side, y + side) for x, y in corners(working, side)]
    share = box.area / (len(chunks) * (side * scale) ** 2)
    if not 0.9 < share < 1.5:
        raise ValueError(f"{len(chunks)} chunks are not the box of {box.width} × {box.height} px")
    return lambda: one_by_one(slide.read(frame.to_level0(chunk), side, side) for chunk in chunks)


def one_by_one(pixels: Iterable[object]) -> None:
    """Take all ``pixels`` and keep none: memory for all of them at once would be measured too."""
    deque(pixels, maxlen=0)


def middle(path: Path) -> Box:
    """Return the box in the middle of the slide, on the grid of the chunks at half resolution."""
    with open_slide(path) as slide:
        step = 2 * StoreSpec().chunk_px
        side = min(REGION, slide.info.width // step * step, slide.info.height // step * step)
        x, y = ((size - side) // 2 // step * step for size in (slide.info.width, slide.info.height))
    return Box(x, y, x + side, y + side)


def corners(box: Box, step: int) -> Iterator[tuple[int, int]]:
    """Yield (x, y) of squares of ``step`` in ``box``, row by row."""
    return ((x, y) for y in range(box.y0, box.y1, step) for x in range(box.x0, box.x1, step))


def raw(path: Path, box: Box) -> list[bytes]:
    """Return the compressed tiles of level 0 inside ``box``, each a JPEG of its own."""
    with tifffile.TiffFile(path) as file, open(path, "rb") as stream:
        page = file.pages[0]
        tables, columns, tiles = page.jpegtables or b"", -(-page.imagewidth // TILE), []
        for x, y in corners(box, TILE):
            stream.seek(page.dataoffsets[y // TILE * columns + x // TILE])
            data = stream.read(page.databytecounts[y // TILE * columns + x // TILE])
            tiles.append(tables[:-2] + data[2:] if tables else data)
    return tiles


def add(options: argparse.ArgumentParser) -> None:
    """Add the options of this benchmark."""
    options.add_argument("--slide", type=Path, help="An Aperio or generic TIFF slide of JPEG tiles of 256 px.")


if __name__ == "__main__":
    main(__doc__, rows, add)
