"""Which cells are none, judged by the colour inside their outline: ink, black pigment, red cells. No torch.

A model for nuclei looks for dark round spots, and pigment grains are some. What tells them from nuclei is the hue of
their mean optical density, and how much of them is black: what :func:`pathopipe.models.stain.measure` adds.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from pathopipe.instances import Instances
from pathopipe.models.stain import BLACK_PART, OD_MEANS
from pathopipe.tiling.artefacts import DAB_FROM
from pathopipe.tiling.spec import ArtefactSpec
from pathopipe.tiling.tissue import Tissue

KINDS = ("pen", "black", "red_cell")
"""What a cell that is none can be, as results call it."""

_GREEN_INK = 1.6
"""Red over green density: at most 0.9 in nuclei of H&E, 1.42 where haematoxylin is alone."""
_BLACK = (0.75, 0.62)
"""Blue over green and red over green density of black, at least, where there is no DAB: nuclei have 0.7 at most."""
_BLACK_DENSE = (0.66, 0.48, 0.75)
"""The same, and the mean density at least, of grains that take hue from the tissue around them."""
_BLUER = 0.1
"""Such a grain has this much more blue over green density than the slide's tissue: scanners differ in their blue."""
_GRAIN = (0.33, 0.95)
"""Part of a grain that is black, and blue over red density, at least, where there is no DAB. An outline takes in the
grain's border and some tissue, whose hue is then that of the mean. But eosin adds more blue than red, where
haematoxylin absorbs half as much blue as red: dark nuclei have 0.75 of it."""
_BLACK_WITH_DAB = (0.85, 0.85, 1.1)
"""The same where nuclei may be brown on blue, and the mean density at least: theirs is 1.0 at most when so grey."""
_BLACK_MOST = 1.25
"""Blue and red over green density above which it is not black."""
_RED_CELL = (0.3, 0.6, 0.45)
"""Red over green density at most, blue over green and green density at least: nuclei have more than 0.3 of red, but for
pale ones, which let the eosin above and below them decide. Haemoglobin absorbs more green than they do: measured 0.57
to 1.0."""


def impostors(cells: Instances, tissue: Tissue, spec: ArtefactSpec) -> NDArray[np.uint8]:
    """Return for every cell (n,) 0, or 1 + its place in :data:`KINDS` where it is no nucleus.

    Parameters
    ----------
    cells : Instances
        With the measurements of :data:`pathopipe.models.stain.COLOURS`; a cell without values is a nucleus.
    tissue : Tissue
        Of the slide: densities are counted from its ``glass``. Black is told from DAB on haematoxylin by density
        alone, so where its ``blue_over_green`` says that there may be DAB, or is None, only the very dark is black.
    spec : ArtefactSpec
        What is looked for.
    """
    found = np.zeros(len(cells), np.uint8)
    if not (spec.enabled and spec.cells and len(cells)):
        return found
    density = red, green, blue = tuple(
        cells.measurements[name].astype(np.float64) - math.log10(255 / level)
        for name, level in zip(OD_MEANS, tissue.glass, strict=True)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        found[(red / green < _RED_CELL[0]) & (blue / green > _RED_CELL[1]) & (green > _RED_CELL[2])] = 3
        if spec.black:
            found[_black(density, cells.measurements[BLACK_PART], tissue.blue_over_green)] = 2
        if spec.pen:
            found[red / green > _GREEN_INK] = 1
    return found


def _black(
    density: tuple[NDArray[np.float64], ...], black_part: NDArray[np.float32], blue_over_green: float | None
) -> NDArray[np.bool_]:
    red, green, blue = density
    mean, hue = (red + green + blue) / 3, (blue / green, red / green)

    def like(least_blue: float, least_red: float, least_mean: float = 0.0) -> NDArray[np.bool_]:
        found = (hue[0] > least_blue) & (hue[1] > least_red) & (mean > least_mean)
        return np.asarray(found & (np.maximum(*hue) < _BLACK_MOST), bool)

    if blue_over_green is None or blue_over_green >= DAB_FROM:
        return like(*_BLACK_WITH_DAB)
    bluer = max(_BLACK_DENSE[0], blue_over_green + _BLUER)
    grain = (black_part > _GRAIN[0]) & (blue > _GRAIN[1] * red)
    return np.asarray(like(*_BLACK) | like(bluer, *_BLACK_DENSE[1:]) | grain, bool)
