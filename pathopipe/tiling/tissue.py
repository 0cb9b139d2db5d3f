"""Where the tissue is: found on a low-power picture, kept as polygons in level-0 pixels."""

from __future__ import annotations

import json
import zipfile
import zlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.errors import StoreError, UnsuitableSlideError
from pathopipe.files import atomic_file
from pathopipe.geometry import Frame
from pathopipe.slide.base import Slide
from pathopipe.tiling.glass import is_dark_field
from pathopipe.tiling.outline import on_grid, outline
from pathopipe.tiling.overview import read_overview
from pathopipe.tiling.spec import TissueSpec
from pathopipe.tiling.stained import tissue_mask

_FORMAT = 1
_DAMAGE = (OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, eq=False)
class Tissue:
    """The tissue of one slide; empty where there is none."""

    polygons: shapely.MultiPolygon
    """Outlines with holes in level-0 pixels, valid, coordinates rounded to 0.1 px."""
    area_mm2: float
    """Area of the polygons."""
    slide_area_mm2: float
    """Area of the whole slide, padding included."""
    thumbnail: NDArray[np.uint8]
    """(h, w, 3) RGB: the low-power picture that the tissue was found on."""
    frame: Frame
    """Frame of ``thumbnail``."""

    def touches(self, rects: NDArray[np.floating]) -> NDArray[np.bool_]:
        """Return for every rectangle (n, 4: x0, y0, x1, y1 in level-0 pixels) whether it meets tissue: (n,)."""
        shapely.prepare(self.polygons)  # an index over the edges, built once
        met: NDArray[np.bool_] = shapely.intersects(self.polygons, shapely.box(*np.asarray(rects, float).T))
        return met

    def save(self, path: Path) -> None:
        """Write to ``path`` (.npz), atomically; the same tissue gives the same bytes."""
        facts = {"format": _FORMAT, "area_mm2": self.area_mm2, "slide_area_mm2": self.slide_area_mm2}
        with atomic_file(path) as file:
            np.savez_compressed(
                file,
                facts=np.array(json.dumps({**facts, "frame": asdict(self.frame)})),
                polygons=np.frombuffer(shapely.to_wkb(self.polygons), np.uint8),
                thumbnail=self.thumbnail,
            )

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read what :meth:`save` wrote, equal to the last bit.

        Raises
        ------
        StoreError
            If the file is missing, damaged or of another format version.
        """
        try:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as data:
                if data.zip.testzip() is not None:
                    raise ValueError("its checksum does not fit")
                facts = json.loads(str(data["facts"]))
                if facts["format"] != _FORMAT:
                    raise ValueError(f"format {facts['format']} instead of {_FORMAT}")
                return cls(
                    polygons=shapely.from_wkb(data["polygons"].tobytes()),
                    area_mm2=facts["area_mm2"],
                    slide_area_mm2=facts["slide_area_mm2"],
                    thumbnail=data["thumbnail"],
                    frame=Frame(**facts["frame"]),
                )
        except _DAMAGE as error:
            raise StoreError(f"{path} is not a whole tissue file ({error}); remove it and run again") from error


def find_tissue(slide: Slide, spec: TissueSpec) -> Tissue:
    """Find the tissue of ``slide``: H&E or IHC, pale or dark, on white, grey or yellowish glass.

    Black, white and transparent padding, dust, fibres and coverslip edges are left out. A slide without tissue gives
    an empty result.

    Raises
    ------
    UnsuitableSlideError
        If the picture is light on dark, such as fluorescence.
    MissingScaleError
        If the slide's resolution is not known.
    SlideError
        If it cannot be decoded.
    """
    rgb, frame = read_overview(slide, spec.mpp)
    info = slide.info
    mm2_per_px = info.scale.x * info.scale.y / 1e6
    if not spec.enabled:
        polygons = on_grid(shapely.box(0, 0, info.width, info.height))
    elif is_dark_field(rgb):
        raise UnsuitableSlideError(
            f"{info.path} is light on dark, like fluorescence, and stained tissue on bright glass is needed; "
            "if it is brightfield after all, use --set tissue.enabled=false to analyse everything"
        )
    else:
        polygons = outline(tissue_mask(rgb, frame.mpp, spec), frame, info.width, info.height)
    slide_area_mm2 = info.width * info.height * mm2_per_px
    return Tissue(polygons, polygons.area * mm2_per_px, slide_area_mm2, rgb, frame)
