"""Numbers, pictures and little charts of the report, as the template needs them."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from pathopipe.scores.base import Histogram, Score

PICTURES_BYTES = 30e6
"""About what all pictures of a page may take together."""
_BYTES_PER_PX = 0.35  # of JPEG at quality 80 on stained tissue
_SIDES_PX = (240, 1600)


def number(value: float | None) -> str:
    """Return ``value`` for people: whole numbers with separators, others to three digits; "–" for None."""
    if value is None:
        return "–"
    if float(value).is_integer() or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.{max(0, 2 - math.floor(math.log10(abs(value))))}f}"


def counted(count: float, what: str) -> str:
    """Return "1 slide" or "1,234 slides"."""
    return f"{number(count)} {what}{'' if count == 1 else 's'}"


def duration(seconds: float | None) -> str:
    """Return ``seconds`` as "0.4 s", "12 s", "3 min 20 s" or "2 h 05 min"."""
    if seconds is None:
        return "–"
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def label(name: str) -> str:
    """Return a score's name for people: "nucleus_area_um2_median" becomes "Nucleus area median"."""
    words = name.replace("per_mm2", "per mm²")
    words = re.sub(r"_(mm2|um2|um|mm)(?=_|$)", "", words).replace("_", " ").strip()
    return words[:1].upper() + words[1:]


def interval(score: Score) -> str:
    """Return a score's interval as "12.3 – 45.6", or ""."""
    return "" if score.interval is None else " – ".join(number(bound) for bound in score.interval)


def picture_side_px(pictures: int) -> int:
    """Return the longer side at which so many pictures keep the page within :data:`PICTURES_BYTES`."""
    low, high = _SIDES_PX
    return int(min(high, max(low, math.sqrt(PICTURES_BYTES / max(1, pictures) / _BYTES_PER_PX))))


def data_uri(path: Path, side_px: int) -> str:
    """Return the picture in ``path`` as a JPEG data URI of at most ``side_px``; "" where there is none to read."""
    try:
        with Image.open(path) as image:
            small = image.convert("RGB")
            small.thumbnail((side_px, side_px), Image.Resampling.LANCZOS)
    except (OSError, SyntaxError, Image.DecompressionBombError):  # Pillow says SyntaxError of a broken PNG
        return ""
    file = io.BytesIO()
    small.save(file, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a histogram, in the units of its drawing."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True, slots=True)
class HistogramChart:
    """A histogram ready to be drawn into a box of 400 × 130 with its axis below."""

    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    median_x: float
    band: tuple[float, float] | None
    """x of the median's interval, from and width."""
    unit: str
    above: str
    """What lies beyond the last bin, in words; "" where nothing does."""


WIDTH, HEIGHT = 400.0, 100.0


def histogram_chart(score: Score) -> HistogramChart | None:
    """Return the drawing of ``score``'s histogram; None where it has none, or it is empty."""
    histogram = score.histogram
    if histogram is None or score.value is None or not any(histogram.counts):
        return None
    used = 1 + max(index for index, count in enumerate(histogram.counts) if count)
    end = histogram.edges[max(used, min(20, len(histogram.counts)))]
    scale, most = WIDTH / end, max(histogram.counts)
    band = score.interval and (score.interval[0] * scale, max(1.0, (score.interval[1] - score.interval[0]) * scale))
    return HistogramChart(
        _bars(histogram, score.unit, used, scale, HEIGHT / most),
        tuple((round(tick * scale, 2), number(tick)) for tick in _ticks(end)),
        round(min(score.value * scale, WIDTH), 2),
        band and (round(band[0], 2), round(band[1], 2)),
        score.unit,
        f"{histogram.above:,} at {number(histogram.edges[-1])} {score.unit} or more" if histogram.above else "",
    )


def _bars(histogram: Histogram, unit: str, used: int, scale: float, height: float) -> tuple[Bar, ...]:
    bars = []
    for index, count in enumerate(histogram.counts[:used]):
        low, high = histogram.edges[index], histogram.edges[index + 1]
        title = f"{number(low)} to {number(high)} {unit}: {count:,}"
        tall = round(count * height, 2)
        bars.append(
            Bar(round(low * scale, 2), round(HEIGHT - tall, 2), round((high - low) * scale - 1, 2), tall, title)
        )
    return tuple(bars)


def _ticks(end: float) -> list[float]:
    power = 10.0 ** math.floor(math.log10(end / 4))
    step = next(s * power for s in (1, 2, 2.5, 5, 10) if s * power >= end / 5)
    return [step * index for index in range(int(end / step) + 1)]


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of the bar of timings."""

    name: str
    seconds: float
    percent: float
    colour: int
    """1 to 8: which of the page's colours."""


def stages(seconds: Mapping[str, float]) -> tuple[Stage, ...]:
    """Return the parts of the bar that shows how long each stage took."""
    total = sum(seconds.values())
    if total <= 0:
        return ()
    return tuple(
        Stage(name, took, round(100 * took / total, 2), index % 8 + 1)
        for index, (name, took) in enumerate(seconds.items())
    )
