"""How a training went, as a picture: the loss, and what the held-out images said."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pathopipe.report.lettering import Colour, width_of, write

_FINER = 2
"""Lines are drawn so many times larger and shrunk: Pillow has no smooth ones."""
_WIDTH, _PANEL, _LEFT, _RIGHT, _TOP, _GAP = 900, 250, 70, 30, 72, 64
_TEXT = 15
_INK, _GRID = (50, 50, 50), (222, 222, 222)
_LOSS, _PALE_LOSS = (30, 80, 150), (178, 200, 228)
_FIGURES: dict[str, tuple[str, Colour]] = {
    "f1": ("F1", (190, 60, 30)),
    "pq": ("PQ", (230, 150, 40)),
    "aji": ("AJI", (60, 140, 90)),
    "class_accuracy": ("right class", (120, 80, 170)),
}
"""Figures of a validation: name and colour."""
_OUTLIERS = 98
"""Percentile of the loss at which the panel ends: the first steps would press the rest flat."""
Line = NDArray[np.float64]


def training_curves(lines: Sequence[dict[str, Any]], title: str) -> bytes:
    """Return a PNG of a training's log: the loss over the steps, and F1, PQ and AJI where it was validated.

    Parameters
    ----------
    lines : sequence of dict
        {"step", "loss"} or {"step", "f1", "pq", "aji"} with more figures, as ``<out>.losses.jsonl`` has them.
    title : str
    """
    loss = _points(lines, "loss")
    figures = {name: points for name in _FIGURES if len(points := _points(lines, name))}
    panels = 2 if figures else 1
    height = _TOP + panels * (_PANEL + _GAP)
    image = Image.new("RGB", (_WIDTH * _FINER, height * _FINER), (255, 255, 255))
    draw = ImageDraw.Draw(image)
    last = max((line["step"] for line in lines), default=1)
    write(draw, (_LEFT * _FINER, 14 * _FINER), title, round(_TEXT * 1.2) * _FINER, _INK)
    panel = _Panel(draw, _TOP, last, *_loss_range(loss))
    panel.frame("loss")
    panel.line(loss, _PALE_LOSS, 1)
    panel.line(_smoothed(loss), _LOSS, 2)
    if figures:
        panel = _Panel(draw, _TOP + _PANEL + _GAP, last, *_figure_range(figures))
        panel.frame("held-out images")
        for name, points in figures.items():
            panel.line(points, _FIGURES[name][1], 2, dots=True)
        panel.legend(figures)
    shrunk = image.resize((_WIDTH, height), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    shrunk.save(file, "PNG", optimize=True)
    return file.getvalue()


def _points(lines: Sequence[dict[str, Any]], name: str) -> Line:
    """Return (n, 2) steps and values of one figure."""
    found = [(line["step"], line[name]) for line in lines if line.get(name) is not None]
    return np.array(found, np.float64).reshape(-1, 2)


def _smoothed(points: Line) -> Line:
    """Return the running mean over a twentieth of the points, each side as far as there are points."""
    reach = len(points) // 40
    if not reach:
        return points
    values = [points[max(0, i - reach) : i + reach + 1, 1].mean() for i in range(len(points))]
    return np.column_stack([points[:, 0], values])


def _loss_range(loss: Line) -> tuple[float, float]:
    if not len(loss):
        return 0.0, 1.0
    return _rounded(float(loss[:, 1].min()), float(np.percentile(loss[:, 1], _OUTLIERS)))


def _figure_range(figures: dict[str, Line]) -> tuple[float, float]:
    values = np.concatenate([points[:, 1] for points in figures.values()])
    low, high = _rounded(float(values.min()), float(values.max()))
    return max(0.0, low), min(1.0, high)


def _rounded(low: float, high: float) -> tuple[float, float]:
    """Return ``low`` and ``high`` moved outwards to whole ticks."""
    step = _tick(max(high - low, 0.1))
    return math.floor(low / step) * step, (math.floor(high / step) + 1) * step


def _tick(span: float) -> float:
    power = 10.0 ** math.floor(math.log10(span / 4))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= span / 5)


@dataclass(frozen=True)
class _Panel:
    """A box with axes, in pixels of the picture."""

    draw: ImageDraw.ImageDraw
    top: int
    last: int
    """Step at its right side."""
    low: float
    high: float

    def frame(self, name: str) -> None:
        """Draw the grid, the numbers and the names of the axes."""
        step = _tick(self.high - self.low)
        for index in range(round((self.high - self.low) / step) + 1):
            value = self.low + index * step
            y = self._y(value)
            self.draw.line([(_LEFT * _FINER, y), ((_WIDTH - _RIGHT) * _FINER, y)], _GRID, _FINER)
            self._text(_LEFT - 10, y / _FINER - _TEXT * 0.6, f"{value:.4g}", right=True)
        step = max(1.0, _tick(self.last))
        for index in range(int(self.last / step) + 1):
            told = f"{index * step:,.0f}" if index else "0 steps"
            self._text(self._x(index * step) / _FINER, self.top + _PANEL + 8, told, centre=True)
        self._text(_LEFT, self.top - _TEXT - 6, name)

    def line(self, points: Line, colour: Colour, width: int, dots: bool = False) -> None:
        """Draw a curve; a single point is a dot."""
        placed = [(self._x(step), self._y(value)) for step, value in points]
        if len(placed) > 1:
            self.draw.line(placed, colour, width * _FINER, joint="curve")
        for x, y in placed if dots or len(placed) == 1 else ():
            radius = 2.5 * _FINER
            self.draw.ellipse((x - radius, y - radius, x + radius, y + radius), colour)

    def legend(self, figures: dict[str, Line]) -> None:
        """Name the curves, with the latest value of each and the highest F1."""
        x = float(_LEFT + 150)
        for name, points in figures.items():
            best = points[points[:, 1].argmax()]
            shown, colour = _FIGURES[name]
            text = f"{shown} {points[-1, 1]:.3f}"
            if name == "f1" and best[1] > points[-1, 1]:
                text += f" (best {best[1]:.3f} at {best[0]:,.0f})"
            self._text(x, self.top - _TEXT - 6, text, colour=colour)
            x += width_of(self.draw, text, _TEXT * _FINER) / _FINER + 20

    def _x(self, step: float) -> float:
        return (_LEFT + step / self.last * (_WIDTH - _LEFT - _RIGHT)) * _FINER

    def _y(self, value: float) -> float:
        share = (min(value, self.high) - self.low) / (self.high - self.low)
        return (self.top + (1 - share) * _PANEL) * _FINER

    def _text(
        self, x: float, y: float, text: str, right: bool = False, centre: bool = False, colour: Colour = _INK
    ) -> None:
        wide = width_of(self.draw, text, _TEXT * _FINER)
        shift = wide if right else wide / 2 if centre else 0
        write(self.draw, (x * _FINER - shift, y * _FINER), text, _TEXT * _FINER, colour)
