"""Do the nuclei have the size that nuclei have? If not, the stated resolution is the first to be doubted.

What is known of nuclei in paraffin sections, as diameters of discs of the published mean areas: mantle cells of normal
tonsil 5.9 to 6.1 µm and mantle cell lymphoma 7.0 µm ("Image analytic study of nuclear area in mantle cell lymphoma",
Korean Journal of Pathology); lymphomas 4.0 to 6.9 µm (Tosi et al. 1983, Exp Pathol 24:237); ductal carcinoma in situ of
low, intermediate and high grade 7.5, 7.8 and 9.6 µm, tumour cells alone (Tan et al. 2001, Mod Pathol 14:937). A slide's
median lies inside these, for between the tumour cells there are lymphocytes, endothelium and fibroblasts.

A model finds best what has the size it was trained on, so where the scale is wrong by 2 the median is wrong by less:
the bounds are narrow. A wrong scale of 30 % stays within them; docs/robustness.md has the figures.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pathopipe.scores.spec import ScaleCheckSpec


def diameters_um(area_um2: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return (n,) the diameters in µm of discs of ``area_um2`` (n,)."""
    return np.asarray(2 * np.sqrt(np.asarray(area_um2, np.float64) / np.pi))


def scale_remark(area_um2: NDArray[np.floating], mpp: float, spec: ScaleCheckSpec) -> str | None:
    """Return a sentence where the nuclei are far too small or large for the stated resolution, else None.

    Parameters
    ----------
    area_um2 : (n,) float
        Areas of the slide's cells in µm², as the stated resolution makes them.
    mpp : float
        The stated resolution, µm per level-0 pixel.
    spec : ScaleCheckSpec
        What is believed.
    """
    if not spec.enabled or len(area_um2) < spec.min_cells:
        return None
    median = float(np.median(diameters_um(area_um2)))
    if spec.min_median_um <= median <= spec.max_median_um:
        return None
    wrong = ("small", "larger") if median < spec.min_median_um else ("large", "smaller")
    return (
        f"The nuclei look too {wrong[0]}: their median diameter is {median:.1f} µm, where "
        f"{spec.min_median_um:g} to {spec.max_median_um:g} is usual. The true µm per pixel may be {wrong[1]} than the "
        f"{mpp:.4g} stated: check it, and give the true one with --mpp, or with --set slide.mpp=X where the slide "
        "states a wrong one."
    )
