"""A large slide for little: one drawn block of tissue, its JPEG tiles written again and again on glass.

Drawing a gigapixel takes minutes, copying its tiles seconds. To a reader the file is like any other: every tile has its
own bytes, the pyramid is whole. Only nuclei at the joints are cut, and there is no truth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import tifffile
from drawn import drawn_slide

from pathopipe.synth.pyramid import encoded, write_slide
from pathopipe.synth.spec import TILE_PX, SynthSpec
from pathopipe.synth.stain import stain_of

STEP_PX = 4096
"""Blocks begin and end where tiles of all levels do: 256 px at 1/16."""


@dataclass(frozen=True)
class _Level:
    """One level, as :func:`pathopipe.synth.pyramid.write_slide` wants it."""

    downsample: int
    width: int
    height: int
    block: list[list[bytes]]
    """Tiles of the drawn block."""
    glass: bytes
    first: int
    """Column and row of the first tile of tissue."""
    past: int
    """Column and row past the last."""

    def tiles(self) -> Iterator[bytes]:
        side = len(self.block)
        for row in range(-(-self.height // TILE_PX)):
            for col in range(-(-self.width // TILE_PX)):
                inside = self.first <= row < self.past and self.first <= col < self.past
                yield self.block[(row - self.first) % side][(col - self.first) % side] if inside else self.glass


def repeated_slide(folder: Path, side: int, tissue: int, block: int = 2 * STEP_PX) -> Path:
    """Return a slide of ``side`` squared px at 0.25 µm/px with a square of tissue in its middle; made or found.

    Parameters
    ----------
    folder : Path
        Where it is, or will be.
    side : int
        In level-0 pixels, a multiple of ``STEP_PX``.
    tissue : int
        Side of the tissue in level-0 pixels, a multiple of ``block``.
    block : int
        Side of what is drawn, a multiple of ``STEP_PX``.
    """
    if side % STEP_PX or block % STEP_PX or tissue % block or tissue > side:
        raise ValueError(f"{side}, {tissue} and {block} px do not fit: multiples of {STEP_PX}, and of each other")
    path = folder / f"repeated-{side}-{tissue}.svs"
    if path.exists():
        return path
    source = drawn_slide(folder, block, tissue_fraction=1.0)
    spec = SynthSpec(width=side, height=side, seed=1)
    first = (side - tissue) // 2 // STEP_PX * STEP_PX
    glass = encoded(np.full((TILE_PX, TILE_PX, 3), stain_of(spec).glass, np.uint8), spec.jpeg_quality)
    levels = []
    with tifffile.TiffFile(source) as tiff:
        for page in tiff.pages:
            if not page.is_tiled:
                continue
            downsample = block // page.imagewidth
            scaled = TILE_PX * downsample
            levels.append(
                _Level(
                    downsample,
                    side // downsample,
                    side // downsample,
                    _tiles(source, page),
                    glass,
                    first // scaled,
                    (first + tissue) // scaled,
                )
            )
    part = path.with_suffix(".part")
    thumbnail = SimpleNamespace(pixels=np.full((256, 256, 3), stain_of(spec).glass, np.uint8))
    write_slide(part, spec, True, levels[0].tiles(), levels[1:], thumbnail)  # type: ignore[arg-type]
    part.rename(path)
    return path


def _tiles(path: Path, page: tifffile.TiffPage) -> list[list[bytes]]:
    """Return the encoded tiles of ``page``, by row."""
    across = page.imagewidth // TILE_PX
    with open(path, "rb") as file:
        found = []
        for offset, length in zip(page.dataoffsets, page.databytecounts, strict=True):
            file.seek(offset)
            found.append(file.read(length))
    return [found[start : start + across] for start in range(0, len(found), across)]
