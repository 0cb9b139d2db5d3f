"""Settings of tissue detection."""

from __future__ import annotations

from pydantic import Field

from pathopipe.spec import Spec


class TissueSpec(Spec):
    """What counts as tissue. All sizes are in µm, so they hold for every scanner."""

    enabled: bool = True
    """Look for tissue; without, the whole slide is analysed."""
    mpp: float = Field(8.0, ge=1, le=32)
    """Resolution of the low-power picture in µm per pixel; giant slides are seen more coarsely."""
    sensitivity: float = Field(1.0, ge=0.25, le=4)
    """Above 1 finds paler tissue and more dirt, below 1 leaves pale tissue out."""
    min_area_um2: float = Field(10_000.0, ge=0)
    """Smaller pieces are dirt and left out."""
    min_hole_um2: float = Field(20_000.0, ge=0)
    """Smaller holes are part of the tissue, such as vessels and fat cells."""
    closing_um: float = Field(24.0, ge=0, le=500)
    """Gaps up to twice this width are closed."""
