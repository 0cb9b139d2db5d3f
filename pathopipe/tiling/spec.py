"""Settings of tissue and artefact detection."""

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


class ArtefactSpec(Spec):
    """What looks like tissue or a nucleus and is neither. All sizes are in µm, so they hold for every scanner."""

    enabled: bool = True
    """Look for artefacts; without, nothing is masked and no cell is left out."""
    pen: bool = True
    """Mask green, blue and red ink; off for stains of these colours, such as trichromes or Alcian blue."""
    black: bool = True
    """Mask black ink, black pigment, dirt and coverslip edges."""
    folds: bool = True
    """Mask where the tissue lies double."""
    fold_contrast: float = Field(1.6, ge=1.1, le=5)
    """A fold has at least this much more of both stains than the tissue around it."""
    min_area_um2: float = Field(4_000.0, ge=0)
    """Smaller spots are not masked; the cells in them are still judged one by one."""
    margin_um: float = Field(16.0, ge=0, le=200)
    """Masks of ink, pigment and edges are grown by this much: ink thins out, and dirt blurs."""
    cells: bool = True
    """Leave out cells that are of ink, black, or red cells by their own colour."""
