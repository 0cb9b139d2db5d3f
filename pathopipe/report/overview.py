"""``overview.png``: the slide with its tissue and cells on one picture, and one field of it close up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pathopipe.annotations.colours import colour_of
from pathopipe.annotations.written import WrittenCells
from pathopipe.errors import SlideError
from pathopipe.files import atomic_file
from pathopipe.geometry import Frame, Rect
from pathopipe.report.field import densest_field
from pathopipe.report.heat import density_per_mm2, draw_legend, lay_over, round_up, top_of_scale
from pathopipe.report.lettering import Colour, width_of, write
from pathopipe.report.outlines import draw_area, draw_cells
from pathopipe.slide.base import Slide

Read = Callable[[Rect, int, int], NDArray[np.uint8]]

MAX_PX = 1600
"""Longer side of the thumbnail."""
OUTLINE_PX = 5.0
"""Cells at least this wide on the picture (median) are drawn as outlines, smaller ones as a density."""
OUTLINES_MOST = 100_000
"""More cells than this would cover the picture whole: they are drawn as a density too."""
TISSUE: Colour = (0, 90, 200)
CELL: Colour = (215, 25, 40)
"""Of classes without a colour of their own."""
FIELD: Colour = (20, 20, 20)
BLACK: Colour = (0, 0, 0)
GAP_PX = 12
_COMPRESSION = 3
"""Of the PNG. More takes much longer, while the workers have nothing to do, and makes it little smaller."""


def save_overview(
    path: Path,
    slide: Slide,
    tissue: shapely.MultiPolygon,
    cells: WrittenCells,
    colours: Mapping[str, Colour],
    artefacts: shapely.Geometry | None = None,
) -> None:
    """Draw the overview of ``slide`` and write it to ``path`` (PNG), atomically.

    Parameters
    ----------
    path : Path
        The file to write.
    slide : Slide
        Its resolution must be known.
    tissue : MultiPolygon
        In level-0 pixels; may be empty.
    cells : WrittenCells
        All of the slide.
    colours : mapping of str to (r, g, b)
        By class name.
    artefacts : shapely geometry, optional
        What was masked as no tissue, in level-0 pixels.

    Raises
    ------
    SlideError
        If the thumbnail cannot be read.
    """
    info = slide.info
    finest = max(info.scale.x, info.scale.y)
    mpp = max(finest, info.width * info.scale.x / MAX_PX, info.height * info.scale.y / MAX_PX)
    frame = info.frame(mpp)
    thumbnail = slide.read(frame.to_level0(frame.box), frame.width, frame.height)
    picture = draw_overview(thumbnail, frame, tissue, cells, colours, slide.read, artefacts)
    with atomic_file(path) as file:
        Image.fromarray(picture).save(file, "PNG", compress_level=_COMPRESSION)


def draw_overview(
    thumbnail: NDArray[np.uint8],
    frame: Frame,
    tissue: shapely.MultiPolygon,
    cells: WrittenCells,
    colours: Mapping[str, Colour],
    read: Read | None = None,
    artefacts: shapely.Geometry | None = None,
) -> NDArray[np.uint8]:
    """Return the thumbnail with tissue, artefacts and cells, and beside it the densest field at full resolution.

    Cells are drawn as outlines where they are large enough on the thumbnail, else as a density in cells/mm².

    Parameters
    ----------
    thumbnail : (h, w, 3) uint8
        The whole slide in ``frame``.
    frame : Frame
        How the thumbnail lies on level 0.
    tissue : MultiPolygon
        In level-0 pixels.
    cells : WrittenCells
        All of the slide.
    colours : mapping of str to (r, g, b)
        By class name; :data:`CELL` for others.
    read : callable, optional
        ``Slide.read``; without, there is no field.
    artefacts : shapely geometry, optional
        What was masked as no tissue, in level-0 pixels.

    Returns
    -------
    (H, W, 3) uint8
        RGB.
    """
    colours = {name: colours.get(name, CELL) for name in cells.classes}
    picture = thumbnail.copy()
    height, width = picture.shape[:2]
    whole = frame.to_level0(frame.box)
    size = max(11, round(max(height, width) / 70))
    top = None
    if 0 < len(cells) <= OUTLINES_MOST and median_width_px(frame, cells) >= OUTLINE_PX:
        draw_cells(picture, whole, cells.within(whole), colours, 1)
    elif len(cells):
        density = density_per_mm2(frame, height, width, cells.centroids)
        top = top_of_scale(density)
        lay_over(picture, density, top)
    draw_area(picture, whole, tissue, TISSUE, max(1, size // 9))
    if artefacts is not None and not artefacts.is_empty:
        draw_area(picture, whole, artefacts, colour_of("Artefact"), max(2, size // 9))
    image = Image.fromarray(picture)
    _draw_scale_bar(image, frame.mpp, size)
    if top is not None:
        draw_legend(image, width - size, height - size, top, size)
    if read is None or not len(cells):
        return np.asarray(image)
    field = densest_field(frame, cells.centroids)
    _mark(image, frame, field, size)
    return np.asarray(_beside(image, _panel(frame, field, cells, colours, read, max(height, width))))


def median_width_px(frame: Frame, cells: WrittenCells) -> float:
    """Return the median diameter of ``cells`` in pixels of ``frame``, of the circle with the same area."""
    return float(2 * np.sqrt(np.median(cells.area_um2) / np.pi) / frame.mpp)


def _panel(
    frame: Frame, field: Rect, cells: WrittenCells, colours: Mapping[str, Colour], read: Read, long_side: int
) -> list[Image.Image]:
    """Return the field twice, with the outlines and without."""
    side = min(768, max(384, (long_side - GAP_PX) // 2))
    try:
        plain = read(field, side, side)
    except SlideError:
        return []  # a tile that cannot be read is told of elsewhere; the thumbnail is still worth having
    drawn = plain.copy()
    draw_cells(drawn, field, cells.within(field), colours, max(1, round(side / 384)))
    pictures = [Image.fromarray(drawn), Image.fromarray(plain)]
    mpp = field.width / frame.scale_x * frame.mpp / side
    for image in pictures:
        _draw_scale_bar(image, mpp, max(11, side // 40))
        ImageDraw.Draw(image).rectangle((0, 0, side - 1, side - 1), outline=FIELD, width=2)
    present = [name for class_id, name in enumerate(cells.classes) if np.any(cells.class_id == class_id)]
    if len(present) > 1:
        _draw_classes(pictures[0], {name: colours[name] for name in present}, max(11, side // 40))
    return pictures


def _beside(image: Image.Image, panel: list[Image.Image]) -> Image.Image:
    """Put the panel's pictures where they lengthen the shorter side."""
    if not panel:
        return image
    side, gap = panel[0].width, GAP_PX
    both = len(panel) * side + (len(panel) - 1) * gap
    tall = image.height > image.width
    if tall:
        canvas = Image.new("RGB", (image.width + gap + side, max(image.height, both)), "white")
    else:
        canvas = Image.new("RGB", (max(image.width, both), image.height + gap + side), "white")
    canvas.paste(image, (0, 0))
    for index, picture in enumerate(panel):
        step = index * (side + gap)
        canvas.paste(picture, (image.width + gap, step) if tall else (step, image.height + gap))
    return canvas


def _mark(image: Image.Image, frame: Frame, field: Rect, size: int) -> None:
    """Draw where on the thumbnail the field is; at least a few pixels wide."""
    x0, y0 = field.x0 / frame.scale_x, field.y0 / frame.scale_y
    x1, y1 = field.x1 / frame.scale_x, field.y1 / frame.scale_y
    grow = max(0.0, (size - (x1 - x0)) / 2)
    box = (x0 - grow, y0 - grow, x1 + grow, y1 + grow)
    draw = ImageDraw.Draw(image)
    draw.rectangle(tuple(edge + away for edge, away in zip(box, (-2, -2, 2, 2), strict=True)), outline="white", width=2)
    draw.rectangle(box, outline=FIELD, width=2)


def _draw_scale_bar(image: Image.Image, mpp: float, size: int) -> None:
    length_um = round_up(image.width * mpp / 5) / 2
    length = round(length_um / mpp)
    label = f"{length_um / 1000:g} mm" if length_um >= 1000 else f"{length_um:g} µm"
    draw = ImageDraw.Draw(image)
    pad, thick = size // 2, max(3, size // 4)
    wide = max(length, round(width_of(draw, label, size)))
    left, bottom = size, image.height - size
    box = (left, bottom - round(1.3 * size) - thick - 2 * pad, left + wide + 2 * pad, bottom)
    draw.rectangle(box, fill=(255, 255, 255), outline=(120, 120, 120))
    write(draw, (left + pad, box[1] + pad - size // 6), label, size, BLACK)
    draw.rectangle((left + pad, bottom - pad - thick, left + pad + length - 1, bottom - pad - 1), fill=BLACK)


def _draw_classes(image: Image.Image, colours: Mapping[str, Colour], size: int) -> None:
    draw = ImageDraw.Draw(image)
    pad = size // 2
    wide = max(width_of(draw, name, size) for name in colours) + 3 * pad + size
    right, line = image.width - size, round(1.4 * size)
    left, bottom = right - round(wide), size + pad + line * len(colours)
    draw.rectangle((left, size, right, bottom), fill=(255, 255, 255), outline=(120, 120, 120))
    for row, (name, colour) in enumerate(colours.items()):
        y = size + pad + row * line
        draw.rectangle((left + pad, y, left + pad + size, y + size - 2), fill=colour)
        write(draw, (left + 2 * pad + size, y - size // 6), name, size, BLACK)
