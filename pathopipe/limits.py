"""How much is taken from files that others made: bounds against damaged and hostile ones, which a user may raise."""

from __future__ import annotations

from pydantic import Field

from pathopipe.errors import LimitError
from pathopipe.spec import Spec


class LimitsSpec(Spec):
    """The most that files may ask for. What real slides and results need lies far below."""

    max_slide_px: int = Field(500_000_000_000, ge=1)
    """Pixels of a slide at level 0; a glass slide of 50 × 75 mm at 0.12 µm per pixel has 260 billion."""
    max_tiles: int = Field(2_000_000, ge=1)
    """Tiles that a slide is cut into for the model."""
    max_block_px: int = Field(100_000_000, ge=1)
    """Pixels that a slide's file makes one decode at once: a tile, a strip, a Zarr chunk."""
    max_blocks: int = Field(20_000_000, ge=1)
    """Tiles or strips of one level in a slide's file."""
    max_levels: int = Field(1_000, ge=1)
    """Pictures in a slide's file: levels, thumbnails, labels."""
    max_image_px: int = Field(250_000_000, ge=1)
    """Pixels of an image or label image that is evaluated or trained on."""
    max_text_bytes: int = Field(1 << 30, ge=1)
    """Bytes of one GeoJSON text, unpacked."""
    max_table_bytes: int = Field(100_000_000, ge=1)
    """Bytes of a manifest."""

    def check(self, name: str, value: int, what: str, cure: str = "") -> None:
        """Make sure that ``value`` is within the limit ``name``; ``what`` says of what it is, such as "x.png: pixels".

        ``cure`` says what to do where the limit cannot be raised.

        Raises
        ------
        LimitError
            If it is not; the message names the setting.
        """
        most = getattr(self, name)
        if value > most:
            raise LimitError(
                f"{what}: {value:,}, and no more than limits.{name}={most:,} are taken from a file; "
                + (cure or f"if the file is to be trusted, raise it with --set limits.{name}={value}")
            )


LIMITS = LimitsSpec()
"""The defaults, where no configuration is at hand."""
