"""Settings of what is judged from the cells of a slide."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from pathopipe.spec import Spec


class ScaleCheckSpec(Spec):
    """When the size of the nuclei says that the stated resolution is wrong; see :mod:`pathopipe.scores.scale`."""

    enabled: bool = True
    """False for models that find something else than nuclei."""
    min_cells: int = Field(200, ge=1)
    """With fewer cells nothing is said of their size."""
    min_per_mm2: float = Field(50.0, ge=0)
    """Fewer nuclei in a mm² of tissue are remarked."""
    min_median_um: float = Field(4.7, gt=0)
    """Smallest median diameter that is believed."""
    max_median_um: float = Field(8.8, gt=0)
    """Largest median diameter that is believed."""
    min_zoomed_um: float = Field(3.4, gt=0)
    """The same in one field looked at at twice the magnification."""
    max_zoomed_um: float = Field(10.4, gt=0)
    """The same in one field looked at at half the magnification."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for kind in ("median", "zoomed"):
            low, high = getattr(self, f"min_{kind}_um"), getattr(self, f"max_{kind}_um")
            if low >= high:
                raise ValueError(f"min_{kind}_um {low:g} is not below max_{kind}_um {high:g}")
        return self
