"""The contract between a model and the rest: tiles in, instances out. Needs no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, Field

from pathopipe.instances import Instances
from pathopipe.spec import Spec


def _switch(value: Any) -> Any:
    """Return "on" or "off" for the booleans that YAML makes of these words."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


Switch = Annotated[Literal["auto", "on", "off"], BeforeValidator(_switch)]
"""Whether to do something: "auto" where it pays."""


class ModelSpec(Spec):
    """Which model runs, and how. Small and picklable: this travels to the workers, never the weights."""

    name: str = "nuclei"
    """Name of a registered model, or the path of a ``.safetensors`` file written by ``pathopipe train``."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where it runs; "auto" takes CUDA where there is one."""
    bf16: Switch = "auto"
    """Whether convolutions run in bfloat16: "auto" where the GPU or the CPU has it. Cells differ slightly."""
    int8: Switch = "auto"
    """Whether they run in 8-bit integers on a CPU: "auto" where it has instructions for it and bf16 is not "on"."""
    min_score: float | None = Field(None, ge=0, le=1)
    """Instances scored lower are dropped; None takes the model's own threshold."""
    batch_tiles: int = Field(1, ge=1)
    """Tiles per task, and per forward pass on a GPU, which small tiles would leave idle one by one."""


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model without loading its weights. JSON-able (see models/card.py)."""

    name: str
    """Such as "nuclei"."""
    version: str
    """Such as "1"."""
    mpp: float
    """µm per pixel that it was trained for."""
    classes: tuple[str, ...]
    """Class names in the order of ``Instances.class_id``."""
    halo_px: int
    """Context that a core pixel's prediction depends on, in working pixels: with it tiles agree at the seams."""
    stride_px: int
    """Tile origins and sizes are multiples of it."""
    max_diameter_um: float
    """Larger instances are not reported."""
    sha256: str
    """Of the weights file; part of every result's fingerprint."""
    licence: str
    data: tuple[str, ...]
    """Training data, one line each with its licence."""
    accuracy: tuple[str, ...]
    """Measured accuracy, one line each with the data set and the metric."""
    limits: tuple[str, ...]
    """What it was not tested on and where it fails, one line each."""

    @property
    def neighbourhood_px(self) -> int:
        """How far from a place, in working pixels, the model's maps matter to the nucleus there: two of the largest.

        Its own extent, and that of those beside it, which it is told apart from.
        """
        return math.ceil(2 * self.max_diameter_um / self.mpp)


class Predictor(Protocol):
    """A loaded model on one device. Not thread-safe; each worker process holds its own."""

    @property
    def card(self) -> ModelCard:
        """What is known of the model."""
        ...

    def predict(self, tiles: NDArray[np.uint8]) -> list[Instances]:
        """Find the instances of every tile.

        Parameters
        ----------
        tiles : (n, h, w, 3) uint8
            RGB at the model's mpp; h and w are multiples of ``card.stride_px``.

        Returns
        -------
        list of Instances
            One a tile. Outlines are (x, y) in that tile's own pixels: continuous, origin at its top left corner, so
            the outline of a single pixel in column 3 reaches from x = 3 to x = 4. A tile's result does not depend on
            the tiles beside it in the batch. Order is deterministic (by row, then column of the centroid).
        """
        ...
