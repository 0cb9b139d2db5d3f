"""What can be had without learning: colour deconvolution, thresholds, distance seeds, watershed.

The yardstick for the models: a nucleus model that does not beat this is not worth its weights. Written with SciPy and
scikit-image as a textbook would: haematoxylin by Ruifrok & Johnston 2001, the threshold by Otsu 1979 and a local mean,
seeds and watershed on the distance transform.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from skimage.feature import peak_local_max
from skimage.filters import gaussian, threshold_local, threshold_otsu
from skimage.morphology import remove_small_holes, remove_small_objects
from skimage.segmentation import watershed

from pathopipe.models.stain import haematoxylin_od


def segment(rgb: NDArray[np.uint8], mpp: float) -> NDArray[np.int32]:
    """Return the labels (h, w) of the nuclei in ``rgb`` (h, w, 3) at ``mpp`` µm per pixel."""
    px = 1 / mpp
    density = gaussian(haematoxylin_od(rgb), 0.4 * px)
    window = int(25 * px) // 2 * 2 + 1
    mask = (density > threshold_otsu(density) * 0.9) & (density > threshold_local(density, window, method="mean"))
    mask = ndimage.binary_opening(mask, iterations=max(1, round(0.5 * px)))
    mask = remove_small_holes(mask, max_size=int(10 * px**2))
    mask = remove_small_objects(mask, max_size=int(8 * px**2))
    depth = gaussian(ndimage.distance_transform_edt(mask), 0.5 * px)
    seeds = np.zeros(mask.shape, np.int32)
    peaks = peak_local_max(
        depth, min_distance=max(1, round(2.0 * px)), labels=ndimage.label(mask)[0], exclude_border=False
    )
    seeds[tuple(peaks.T)] = np.arange(1, len(peaks) + 1)
    return watershed(-depth, seeds, mask=mask).astype(np.int32)
