"""How a pyramid's levels lie on level 0, and which of them to read."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pathopipe.slide.base import Level

FINE_ENOUGH = 1.01
"""A level counts as fine enough where it is coarser than asked by no more than this: mpp values are rounded (0.2499
for 0.25), and reading four or sixteen times the pixels for one per cent would be waste."""


def pyramid(sizes: Sequence[tuple[int, int]], stated: Sequence[tuple[float, float] | None] = ()) -> tuple[Level, ...]:
    """Return the levels of a pyramid from their sizes, with the downsample that made them.

    Scanners halve and drop the odd row: a slide of 100003 columns has a quarter level of 25000. The quotient of the
    widths, 4.00012, would put that level's last column three level-0 pixels too far right; the true factor is 4. So a
    whole number is taken where dividing by it and rounding (down, up or to nearest) gives exactly these sizes.

    Parameters
    ----------
    sizes : sequence of (width, height)
        Pixels, finest first.
    stated : sequence of (x, y) or None
        Downsample of each level where the file itself states it, which is then believed.
    """
    width, height = sizes[0]
    levels = []
    for index, (w, h) in enumerate(sizes):
        known = stated[index] if index < len(stated) else None
        whole = _whole_factor(width, height, w, h)
        x, y = known or ((whole, whole) if whole else (width / w, height / h))
        levels.append(Level(w, h, float(x), float(y)))
    return tuple(levels)


def _whole_factor(width: int, height: int, w: int, h: int) -> int | None:
    """Return the whole number that makes ``w`` × ``h`` of ``width`` × ``height``, or None.

    Tiny levels fit several numbers; a power of two is the likely one then, else the one nearest to the quotient.
    """
    quotient = (width / w + height / h) / 2
    low = max(1, math.floor(min(width / (w + 1), height / (h + 1))))
    high = math.ceil(max(width / max(w - 1, 0.5), height / max(h - 1, 0.5)))
    fitting = [k for k in range(low, min(high, low + 4096) + 1) if _makes(width, w, k) and _makes(height, h, k)]
    if not fitting:
        return None
    powers = [k for k in fitting if k & (k - 1) == 0]
    return min(powers or fitting, key=lambda k: abs(k - quotient))


def _makes(full: int, part: int, factor: int) -> bool:
    return part in (max(full // factor, 1), -(-full // factor))


def shrunk(level: Level, shrink: int) -> Level:
    """Return ``level`` as it is when decoded to 1 / ``shrink`` of its sides."""
    if shrink == 1:
        return level
    width, height = -(-level.width // shrink), -(-level.height // shrink)
    return Level(width, height, level.downsample_x * shrink, level.downsample_y * shrink)


def fits(shrink: int, *steps: float) -> bool:
    """Return whether a level may be decoded to 1 / ``shrink`` where ``steps`` of its pixels make one that is asked for.

    It may where whole smaller pixels make one. Averaging parts of them blurs: by 1.8 grey levels on average at 2.03
    pixels of tissue, while 2 differ from area averages by 0.1 to 0.4 (docs/adr/0008).
    """
    return shrink == 1 or all(math.isclose(step / shrink, max(1, round(step / shrink)), rel_tol=1e-6) for step in steps)


def level_for(levels: Sequence[Level], scale_x: float, scale_y: float) -> int:
    """Return the index of the coarsest level that is at least as fine as asked.

    Parameters
    ----------
    levels : sequence of Level
        Finest first.
    scale_x, scale_y : float
        Level-0 pixels per pixel of the picture that is asked for.
    """
    best = 0
    for index, level in enumerate(levels):
        fits = level.downsample_x <= scale_x * FINE_ENOUGH and level.downsample_y <= scale_y * FINE_ENOUGH
        if fits and level.downsample_x >= levels[best].downsample_x:
            best = index
    return best
