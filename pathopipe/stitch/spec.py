"""Settings of the stitching."""

from __future__ import annotations

from pydantic import Field

from pathopipe.spec import Spec


class StitchSpec(Spec):
    """How the instances of neighbouring tiles are put together."""

    seam_margin_um: float = Field(2.0, gt=0, le=20)
    """A tile answers for instances whose centroid lies in its core, and this far beyond it. It must be larger than
    the two tiles' centroids of one nucleus lie apart, or a nucleus on the seam could be missed by both."""
    same_iou: float = Field(0.25, gt=0, lt=1)
    """Instances of different tiles that share at least this part of their union are one nucleus. Two views of a small
    nucleus share no more when each is off by a pixel; neighbours that touch share less. Measured on drawn nuclei
    5 to 24 px long, with 0.7 px of noise in each tile, for three tile sizes: of 130,221 whose neighbours share up to a
    quarter of the smaller one, none was missed and one doubled; of 67,908 that share up to 0.4, none and none."""
    same_within: float = Field(0.7, gt=0, le=1)
    """So are two of which the smaller one lies in the other by at least this part: it was cut by its tile's border, or
    one tile saw a piece of what the other saw whole."""
