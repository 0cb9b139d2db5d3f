"""Charts as PNG: a grid of panels with curves. The font travels with Pillow, so every machine draws the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw

from pathopipe.report.lettering import Colour, width_of, write

FINE = 2
"""Drawn so many times larger, then reduced: smooth lines."""
WIDTH, HEIGHT = 440, 300
"""Of a panel, in pixels of the picture."""
LEFT, RIGHT, TOP, BOTTOM = 52, 16, 38, 46
COLOURS: tuple[Colour, ...] = ((31, 119, 180), (214, 96, 20), (44, 140, 60), (140, 80, 170))
INK, SOFT, GRID = (40, 40, 40), (110, 110, 110), (226, 226, 226)


@dataclass(frozen=True)
class Curve:
    """One line of a panel."""

    name: str
    points: tuple[tuple[float, float], ...]
    """x, y; ascending x."""
    spans: tuple[tuple[float, float], ...] = ()
    """Low and high of each point, drawn as an upright line; empty for none."""
    dashed: bool = False
    colour: int = 0
    """Place in ``COLOURS``."""


@dataclass(frozen=True)
class Panel:
    """A chart with its title."""

    title: str
    x_label: str
    x: tuple[float, float]
    y: tuple[float, float]
    x_ticks: tuple[float, ...]
    y_ticks: tuple[float, ...]
    curves: tuple[Curve, ...]
    mark: float | None = None
    """An x at which an upright line is drawn."""
    diagonal: bool = False
    """Whether the line y = x is drawn."""


def save_panels(path: Path, panels: Sequence[Panel], columns: int) -> None:
    """Write ``panels`` as a picture, ``columns`` in a row, with one legend below that names every curve once."""
    rows = -(-len(panels) // columns)
    legend = 34
    image = Image.new("RGB", (columns * WIDTH * FINE, (rows * HEIGHT + legend) * FINE), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    for place, panel in enumerate(panels):
        _draw_panel(draw, panel, place % columns * WIDTH, place // columns * HEIGHT)
    _draw_legend(draw, panels, rows * HEIGHT + 6)
    path.parent.mkdir(parents=True, exist_ok=True)
    small = image.resize((image.width // FINE, image.height // FINE), Image.Resampling.BOX)
    temporary = path.with_name(f"{path.name}.tmp")
    small.quantize(64, dither=Image.Dither.NONE).save(temporary, "PNG", optimize=True)
    temporary.replace(path)


def _draw_panel(draw: ImageDraw.ImageDraw, panel: Panel, left: int, top: int) -> None:
    x0, x1 = left + LEFT, left + WIDTH - RIGHT
    y0, y1 = top + HEIGHT - BOTTOM, top + TOP

    def at(x: float, y: float) -> tuple[float, float]:
        across = (x - panel.x[0]) / (panel.x[1] - panel.x[0])
        up = (y - panel.y[0]) / (panel.y[1] - panel.y[0])
        return (x0 + across * (x1 - x0)) * FINE, (y0 - up * (y0 - y1)) * FINE

    write(draw, (x0 * FINE, (top + 10) * FINE), panel.title, 15 * FINE, INK)
    for tick in panel.y_ticks:
        draw.line((*at(panel.x[0], tick), *at(panel.x[1], tick)), fill=GRID, width=FINE)
        text = f"{tick:g}"
        x, y = at(panel.x[0], tick)
        write(draw, (x - width_of(draw, text, 12 * FINE) - 6 * FINE, y - 7 * FINE), text, 12 * FINE, SOFT)
    for tick in panel.x_ticks:
        x, y = at(tick, panel.y[0])
        draw.line((x, y, x, y + 4 * FINE), fill=SOFT, width=FINE)
        write(draw, (x - width_of(draw, f"{tick:g}", 12 * FINE) / 2, y + 6 * FINE), f"{tick:g}", 12 * FINE, SOFT)
    middle = (x0 + x1) / 2 * FINE - width_of(draw, panel.x_label, 12 * FINE) / 2
    write(draw, (middle, (y0 + 25) * FINE), panel.x_label, 12 * FINE, SOFT)
    if panel.mark is not None:
        _line(draw, [at(panel.mark, panel.y[0]), at(panel.mark, panel.y[1])], SOFT, 1, dashed=True)
    if panel.diagonal:
        _line(draw, [at(panel.x[0], panel.y[0]), at(panel.x[1], panel.y[1])], SOFT, 1, dashed=True)
    draw.line((*at(panel.x[0], panel.y[0]), *at(panel.x[1], panel.y[0])), fill=SOFT, width=FINE)
    for curve in panel.curves:
        colour = COLOURS[curve.colour]
        for (x, _), (low, high) in zip(curve.points, curve.spans, strict=False):
            draw.line((*at(x, low), *at(x, high)), fill=colour, width=FINE)
        places = [at(*point) for point in curve.points]
        _line(draw, places, colour, 2, curve.dashed)
        for x, y in places:
            reach = (2 if curve.dashed else 3) * FINE
            draw.ellipse((x - reach, y - reach, x + reach, y + reach), fill=colour)


def _line(
    draw: ImageDraw.ImageDraw, places: Sequence[tuple[float, float]], colour: Colour, width: int, dashed: bool
) -> None:
    if not dashed:
        draw.line(list(places), fill=colour, width=width * FINE, joint="curve")
        return
    for (xa, ya), (xb, yb) in pairwise(places):
        length = max(((xb - xa) ** 2 + (yb - ya) ** 2) ** 0.5, 1e-6)
        step = 5 * FINE
        for begin in range(0, int(length), 2 * step):
            one, other = begin / length, min(begin + step, length) / length
            dash = (xa + (xb - xa) * one, ya + (yb - ya) * one, xa + (xb - xa) * other, ya + (yb - ya) * other)
            draw.line(dash, fill=colour, width=width * FINE)


def _draw_legend(draw: ImageDraw.ImageDraw, panels: Sequence[Panel], top: int) -> None:
    named = {curve.name: curve for panel in panels for curve in panel.curves}
    x = float(LEFT * FINE)
    for name, curve in named.items():
        y = (top + 8) * FINE
        _line(draw, [(x, y), (x + 28 * FINE, y)], COLOURS[curve.colour], 2, curve.dashed)
        x = write(draw, (x + 34 * FINE, y - 8 * FINE), name, 13 * FINE, INK) + 24 * FINE
