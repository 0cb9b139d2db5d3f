"""Settings of the tile store."""

from __future__ import annotations

from pydantic import Field

from pathopipe.spec import Spec


class StoreSpec(Spec):
    """How the pixels that were read are kept."""

    keep: bool = True
    """Keep them as ``tiles.zarr``; without, nothing is stored and the results are the same."""
    chunk_px: int = Field(512, ge=64, le=8192)
    """Side of a chunk in working pixels."""
