"""How fast pixels come out of a JPEG slide: OpenSlide as most use it, tiffslide, the bare codec, and ``Slide.read``.

    python benchmarks/decode.py [--slide FILE] [--size PIXELS] [--region PIXELS]

Without a slide, on one that pathopipe draws: JPEG 4:2:0 in tiles of 256. Megapixels are level-0 pixels of the slide a
CPU second of one thread, in the same region for all ways; the best of several rounds counts, which take turns: what
else runs on the machine only takes away.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import imagecodecs
import numpy as np
import openslide
import simplejpeg
import tifffile
from pages import table
from tiffslide import TiffSlide

from pathopipe.geometry import Box
from pathopipe.slide import Slide, SlideSpec, open_slide
from pathopipe.synth.slide import draw_slide
from pathopipe.synth.spec import SynthSpec

TILE = 256
CHUNK = 512
"""Side of what the tile store reads at once (store.chunk_px)."""
ROUNDS = 7
NAIVE, CODEC, READ = "OpenSlide, read_region(256).convert('RGB')", "the bare codec on the file's tiles", "Slide.read"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--slide", type=Path, help="An Aperio or generic TIFF slide of JPEG tiles of 256 px.")
    options.add_argument("--size", type=int, default=8192, help="Side of the drawn slide.")
    options.add_argument("--region", type=int, default=4096, help="Side of the region that is read, in its middle.")
    chosen = options.parse_args()
    cv2.setNumThreads(1)
    with TemporaryDirectory() as folder:
        path = chosen.slide or drawn(Path(folder), chosen.size)
        with open_slide(path) as slide:
            print(f"{slide.info.width} × {slide.info.height} px, {slide.info.decoding}")
        box = middle(path, chosen.region)
        for title, ways in (("level resolution", level_ways(path, box)), ("half of it", half_ways(path, box))):
            report(title, best(ways), box.area / 1e6)


def drawn(folder: Path, size: int) -> Path:
    """Draw a slide at 0.25 µm per pixel."""
    path = folder / "drawn.svs"
    draw_slide(path, SynthSpec(width=size, height=size, seed=7))
    return path


def middle(path: Path, side: int) -> Box:
    """Return the box of ``side`` level-0 pixels in the middle, on the grid of the chunks at half resolution."""
    with open_slide(path) as slide:
        step = 2 * CHUNK
        side = min(side, slide.info.width // step * step, slide.info.height // step * step)
        x, y = ((size - side) // 2 // step * step for size in (slide.info.width, slide.info.height))
    return Box(x, y, x + side, y + side)


def corners(box: Box, step: int) -> list[tuple[int, int]]:
    return [(x, y) for y in range(box.y0, box.y1, step) for x in range(box.x0, box.x1, step)]


def level_ways(path: Path, box: Box) -> dict[str, Callable[[], object]]:
    naive, tiff = openslide.OpenSlide(str(path)), TiffSlide(path)
    ours, through = open_slide(path), open_slide(path, SlideSpec(reader="openslide"))
    tiles, memory = raw(path, box), np.empty((TILE, TILE, 3), np.uint8)
    return {
        NAIVE: lambda: [naive.read_region(at, 0, (TILE, TILE)).convert("RGB") for at in corners(box, TILE)],
        "tiffslide, read_region(1024)": lambda: [
            tiff.read_region(at, 0, (1024, 1024), as_array=True) for at in corners(box, 1024)
        ],
        f"{READ}, reader openslide": lambda: read(through, box, 1),
        f"{CODEC}: imagecodecs": lambda: [imagecodecs.jpeg8_decode(tile, out=memory) for tile in tiles],
        CODEC: lambda: [simplejpeg.decode_jpeg(tile, "RGB", buffer=memory) for tile in tiles],
        READ: lambda: read(ours, box, 1),
    }


def half_ways(path: Path, box: Box) -> dict[str, Callable[[], object]]:
    naive = openslide.OpenSlide(str(path))
    ours, through = open_slide(path), open_slide(path, SlideSpec(reader="openslide"))
    tiles, half = raw(path, box), TILE // 2
    memory = np.empty((half, half, 3), np.uint8)
    return {
        NAIVE: lambda: [naive.read_region(at, 0, (TILE, TILE)).convert("RGB").reduce(2) for at in corners(box, TILE)],
        f"{READ}, reader openslide": lambda: read(through, box, 2),
        CODEC: lambda: [
            simplejpeg.decode_jpeg(tile, "RGB", min_height=half, min_width=half, buffer=memory) for tile in tiles
        ],
        READ: lambda: read(ours, box, 2),
    }


def read(slide: Slide, box: Box, scale: int) -> None:
    """Read ``box`` (level-0 pixels) chunk by chunk at 1 / ``scale`` of its resolution, as the tile store does."""
    working = Box(*(edge // scale for edge in box))
    frame = slide.info.frame(slide.info.scale.x * scale)
    for x, y in corners(working, CHUNK):
        slide.read(frame.to_level0(Box(x, y, x + CHUNK, y + CHUNK)), CHUNK, CHUNK)


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


def best(ways: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the least CPU seconds of each way."""
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(ROUNDS):
        for name, way in ways.items():
            began = time.process_time()
            way()
            seconds[name] = min(seconds[name], time.process_time() - began)
    return seconds


def report(title: str, seconds: dict[str, float], megapixels: float) -> None:
    rows = [
        [name, f"{megapixels / took:.0f}", f"{seconds[NAIVE] / took:.1f}", f"{seconds[CODEC] / took:.2f}"]
        for name, took in seconds.items()
    ]
    print(f"\n{table([title, 'MP/s', '× naive', '× codec'], rows)}", flush=True)


if __name__ == "__main__":
    main()
