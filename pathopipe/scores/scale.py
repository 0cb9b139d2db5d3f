"""Do the nuclei have the size that nuclei have? If not, the stated resolution is the first to be doubted.

What is known of nuclei in paraffin sections, as diameters of discs of the published mean areas: mantle cells of normal
tonsil 5.9 to 6.1 µm and mantle cell lymphoma 7.0 µm ("Image analytic study of nuclear area in mantle cell lymphoma",
Korean Journal of Pathology); lymphomas 4.0 to 6.9 µm (Tosi et al. 1983, Exp Pathol 24:237); ductal carcinoma in situ of
low, intermediate and high grade 7.5, 7.8 and 9.6 µm, tumour cells alone (Tan et al. 2001, Mod Pathol 14:937). A slide's
median lies inside these, for between the tumour cells there are lymphocytes, endothelium and fibroblasts.

A model finds best what has the size that it was trained on. Where the stated µm per pixel is half the true one it finds
few nuclei, and not half as large but clumps and the largest. So a field is looked at again, at the magnification at
which nuclei would look right if the scale were wrong by two: what is found then has its true size in pixels. Found at
the stated scale, the median may lie within narrow bounds only; found at the other, within wide ones, just beyond all
that is published. docs/robustness.md has the figures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pathopipe.scores.spec import ScaleCheckSpec

CLOSER, FARTHER = 2.0, 0.5
"""Zooms of the second look."""
TURN_UM = 6.0
"""Where the median is below, nuclei may be too small and a closer look is taken, else one from farther away."""
LEAST_TISSUE_MM2 = 0.2
"""With less tissue it is no wonder that there are few nuclei."""
LEAST_SEEN = 50
"""With fewer cells in the second look it says nothing."""
Areas = NDArray[np.floating]


def diameters_um(area_um2: Areas) -> NDArray[np.float64]:
    """Return (n,) the diameters in µm of discs of ``area_um2`` (n,)."""
    return np.asarray(2 * np.sqrt(np.asarray(area_um2, np.float64) / np.pi))


def zoom_for(area_um2: Areas, spec: ScaleCheckSpec) -> float | None:
    """Return the zoom of the second look for cells of ``area_um2`` (n,); None where nothing shall be said."""
    if not spec.enabled or len(area_um2) < spec.min_cells:
        return None
    return CLOSER if _median(area_um2) < TURN_UM else FARTHER


def scale_remark(
    area_um2: Areas, mpp: float, spec: ScaleCheckSpec, zoom: float | None = None, zoomed_um2: Areas | None = None
) -> str | None:
    """Return a sentence where the nuclei are far too small or large for the stated resolution, else None.

    Parameters
    ----------
    area_um2 : (n,) float
        Areas of the slide's cells in µm², as the stated resolution makes them.
    mpp : float
        The stated resolution, µm per level-0 pixel.
    spec : ScaleCheckSpec
        What is believed.
    zoom : float or None
        Of the second look, from :func:`zoom_for`.
    zoomed_um2 : (m,) float or None
        Areas of the cells found in it, as ``area_um2``.
    """
    if not spec.enabled or len(area_um2) < spec.min_cells:
        return None
    median = _median(area_um2)
    told = _doubt(median, spec.min_median_um, spec.max_median_um, mpp, "")
    if told or zoom is None or zoomed_um2 is None or len(zoomed_um2) < LEAST_SEEN:
        return told
    low = spec.min_zoomed_um if zoom > 1 else 0.0
    high = spec.max_zoomed_um if zoom < 1 else float("inf")
    return _doubt(_median(zoomed_um2), low, high, mpp, f" at {zoom:g} times the magnification")


def sparse_remark(cells: int, tissue_mm2: float, mpp: float, spec: ScaleCheckSpec) -> str | None:
    """Return a sentence where there are hardly any nuclei in a good deal of tissue, else None.

    Parameters
    ----------
    cells : int
        Found in the tissue.
    tissue_mm2 : float
        All of it analysed.
    mpp : float
        The stated resolution, µm per level-0 pixel.
    spec : ScaleCheckSpec
        What is believed.
    """
    if not spec.enabled or tissue_mm2 < LEAST_TISSUE_MM2 or cells >= spec.min_per_mm2 * tissue_mm2:
        return None
    return (
        f"Hardly any nuclei were found: {cells:,} in {tissue_mm2:.2f} mm² of tissue. Either the slide is not stained "
        f"with haematoxylin, or the {mpp:.4g} µm per pixel stated are wrong: check it, and give the true one with "
        "--mpp, or with --set slide.mpp=X where the slide states a wrong one."
    )


def _doubt(median: float, low: float, high: float, mpp: float, where: str) -> str | None:
    if low <= median <= high:
        return None
    wrong, usual, true = (
        ("small", f"{low:g} or more", "larger") if median < low else ("large", f"{high:g} or less", "smaller")
    )
    return (
        f"The nuclei look too {wrong}: their median diameter{where} is {median:.1f} µm, where {usual} is usual. "
        f"The true µm per pixel may be {true} than the {mpp:.4g} stated: check it, and give the true one with --mpp, "
        "or with --set slide.mpp=X where the slide states a wrong one."
    )


def _median(area_um2: Areas) -> float:
    return float(np.median(diameters_um(area_um2)))
