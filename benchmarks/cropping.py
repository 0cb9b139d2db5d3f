"""How many megapixels the network gets: tiles cropped to their tissue beside whole ones. A count; nothing is run.

    python benchmarks/cropping.py [--folder DIR] [--side 16384] [--slide FILE …]

Looked at are a drawn slide, the square of tissue of benchmarks/large_slide.py, and slides that are given.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import shapely
from drawn import drawn_slide
from large_slide import SIDE, TISSUE
from repeated import STEP_PX
from rows import Row, main

from pathopipe.config import load_config
from pathopipe.geometry import Frame
from pathopipe.models.load import load_card
from pathopipe.slide.open import open_slide
from pathopipe.tiling.grid import TileGrid
from pathopipe.tiling.tissue import Tissue, find_tissue

CONFIG = load_config()
CARD = load_card(CONFIG.model)
TILES_PX = (3072, 2048, 1024, 512)


def rows(given: argparse.Namespace) -> Iterator[Row]:
    drawn = drawn_slide(given.folder, 4096 if given.quick else given.side)
    yield from counted(f"drawn slide of {4096 if given.quick else given.side} px", *tissue_of(drawn))
    yield from counted(f"square of tissue of {TISSUE} px", *square())
    for slide in given.slide:
        yield from counted(slide.name, *tissue_of(slide))


def counted(name: str, frame: Frame, tissue: Tissue) -> Iterator[Row]:
    """Count what the network gets of ``tissue``, in tiles of several sizes."""
    tissue_mp = tissue.polygons.area / frame.scale_x / frame.scale_y / 1e6
    for tile_px in TILES_PX:
        spec = CONFIG.grid.model_copy(update={"tile_px": tile_px})
        grid = TileGrid.cover(frame.width, frame.height, spec, CARD.halo_px, CARD.stride_px, CARD.neighbourhood_px)
        tiles = grid.touching(tissue, frame)
        cropped, whole = (
            sum(box.area for box in boxes) / 1e6 for boxes in ([t.read for t in tiles], [t.whole for t in tiles])
        )
        yield Row(
            f"{name}, {tissue_mp:.3g} MP of tissue, {len(tiles)} tiles of up to {tile_px} px, cropped",
            cropped,
            "MP",
            f"whole: {whole:.3g}",
            cropped / whole,
            note=f"{cropped / tissue_mp:.2f} of the tissue, whole {whole / tissue_mp:.2f}",
        )


def tissue_of(slide: Path) -> tuple[Frame, Tissue]:
    """Return the frame that the model works in, and the tissue that is found."""
    with open_slide(str(slide), CONFIG.slide) as opened:
        return opened.info.frame(CARD.mpp), find_tissue(opened, CONFIG.tissue, CONFIG.artefacts)


def square() -> tuple[Frame, Tissue]:
    """Return those of the slide of benchmarks/large_slide.py, without making it."""
    first = (SIDE - TISSUE) // 2 // STEP_PX * STEP_PX
    shape = shapely.multipolygons([shapely.box(first, first, first + TISSUE, first + TISSUE)])
    picture = np.full((1, 1, 3), 255, np.uint8)
    frame = Frame.at(CARD.mpp, SIDE, SIDE, 0.25, 0.25)
    return frame, Tissue(
        shape, shape.area * 0.25**2 / 1e6, SIDE**2 * 0.25**2 / 1e6, picture, Frame(1, 1, 1.0, SIDE, SIDE)
    )


def more_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--side", type=int, default=16_384, help="of the drawn slide, in level-0 pixels")
    options.add_argument("--slide", type=Path, nargs="+", default=[], help="slides to look at, too")


if __name__ == "__main__":
    main(__doc__, rows, more_options)
