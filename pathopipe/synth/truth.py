"""The truth beside a drawn slide: every nucleus and the tissue, for QuPath and for tests.

``F.svs`` gets ``F.truth.geojson.zip``, laid out as a run's ``cells.geojson.zip``: ``part-0001.geojson`` … are
FeatureCollections of at most 20,000 nuclei each (``objectType`` "detection", class, colour, area), and
``tissue.geojson`` is one with the tissue's outline (``objectType`` "annotation"). So is ``defects.geojson``, where the
slide has defects; nuclei under them stay in the truth. Coordinates are level-0 pixels. The nuclei are written while the
slide is drawn; memory does not grow with their number.
"""

from __future__ import annotations

import uuid
import zipfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import cv2
import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from pathopipe.spec import fingerprint
from pathopipe.synth.defects import Defect
from pathopipe.synth.nuclei import CLASSES, Nuclei
from pathopipe.synth.spec import SynthSpec

PART_NUCLEI = 20_000
COLORS = ((200, 0, 0), (160, 90, 160), (150, 200, 150))
"""RGB of ``CLASSES``, as QuPath shows the tumour, immune cell and stroma classes."""
TISSUE_COLOR = (70, 120, 200)
DEFECT_COLOR = (110, 110, 110)
_SPACE = uuid.UUID("8a0c4d3e-52e7-5c0b-9a43-7d1f6f0b1c55")


def truth_path(slide: Path) -> Path:
    """Return where the truth of ``slide`` is written."""
    return slide.with_name(f"{slide.stem}.truth.geojson.zip")


class TruthWriter:
    """Writes a truth file, part by part; the same nuclei give the same bytes.

    Parameters
    ----------
    path : Path
        The file to write; the caller renames it when all is well.
    spec : SynthSpec
        The slide.
    """

    def __init__(self, path: Path, spec: SynthSpec) -> None:
        self._zip = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=4)
        self._spec = spec
        self._name = fingerprint(spec.model_dump(mode="json"))
        self._part: IO[bytes] | None = None
        self._parts = 0
        self.nuclei = 0
        """Nuclei written so far."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end_part()
        self._zip.close()

    def add(self, nuclei: Nuclei) -> None:
        """Write ``nuclei`` in their order."""
        rings = np.round(nuclei.vertices(self._spec.seed), 2)
        areas = shapely.area(shapely.polygons(rings)) * self._spec.mpp**2
        for ring, key, class_id, area in zip(rings, nuclei.key.tolist(), nuclei.class_id.tolist(), areas, strict=True):
            if self.nuclei % PART_NUCLEI == 0:
                self._end_part()
                self._parts += 1
                self._part = self._open(f"part-{self._parts:04d}.geojson")
                self._part.write(b'{"type":"FeatureCollection","features":[\n')
            else:
                self._write(b",\n")
            self._write(orjson.dumps(self._nucleus(ring, key, class_id, float(area))))
            self.nuclei += 1

    def add_tissue(self, mask: NDArray[np.bool_], downsample: float) -> None:
        """Write the outline of ``mask`` (h, w), whose pixels are ``downsample`` level-0 pixels wide."""
        self._end_part()
        outline = _outline(mask, downsample, self._spec)
        features = [] if outline is None else [self._annotation(outline, "tissue", "Tissue", "Tissue", TISSUE_COLOR)]
        with self._open("tissue.geojson") as file:
            file.write(orjson.dumps({"type": "FeatureCollection", "features": features}))

    def add_defects(self, defects: Sequence[Defect]) -> None:
        """Write where ``defects`` are; nothing where there are none."""
        slide = shapely.box(0, 0, self._spec.width, self._spec.height)
        features = []
        for number, defect in enumerate(defects, 1):
            shape = shapely.set_precision(shapely.intersection(defect.shape, slide), 0.01)
            if shape.geom_type in ("Polygon", "MultiPolygon") and not shape.is_empty:
                features.append(self._annotation(shape, f"defect {number}", defect.kind, "Artefact", DEFECT_COLOR))
        if features:
            with self._open("defects.geojson") as file:
                file.write(orjson.dumps({"type": "FeatureCollection", "features": features}))

    def _open(self, name: str) -> IO[bytes]:
        # A fixed date: the bytes depend on the spec alone.
        info = zipfile.ZipInfo(name, date_time=(1980, 1, 1, 0, 0, 0))
        info.compress_type = zipfile.ZIP_DEFLATED
        info.external_attr = 0o644 << 16
        return self._zip.open(info, "w", force_zip64=True)

    def _write(self, text: bytes) -> None:
        assert self._part is not None, "a part is open while nuclei are written"
        self._part.write(text)

    def _end_part(self) -> None:
        if self._part is not None:
            self._part.write(b"\n]}\n")
            self._part.close()
            self._part = None

    def _nucleus(self, ring: NDArray[np.float64], key: int, class_id: int, area_um2: float) -> dict[str, object]:
        vertices = ring.tolist()
        return {
            "type": "Feature",
            "id": str(uuid.uuid5(_SPACE, f"{self._name}/{key}")),
            "geometry": {"type": "Polygon", "coordinates": [[*vertices, vertices[0]]]},
            "properties": {
                "objectType": "detection",
                "classification": {"name": CLASSES[class_id], "color": COLORS[class_id]},
                "measurements": {"Area µm^2": round(area_um2, 3)},
            },
        }

    def _annotation(
        self, outline: shapely.Geometry, key: str, name: str, kind: str, color: tuple[int, int, int]
    ) -> dict[str, object]:
        return {
            "type": "Feature",
            "id": str(uuid.uuid5(_SPACE, f"{self._name}/{key}")),
            "geometry": orjson.loads(shapely.to_geojson(outline)),
            "properties": {
                "objectType": "annotation",
                "name": name,
                "classification": {"name": kind, "color": color},
                "isLocked": True,
            },
        }


def _outline(mask: NDArray[np.bool_], downsample: float, spec: SynthSpec) -> shapely.Geometry | None:
    """Return the tissue as a valid Polygon or MultiPolygon in level-0 pixels, or None where there is none."""
    # Twice the size: contours run through the pixels' middles, and a border half a pixel inside is then a quarter off.
    large = cv2.resize(mask.astype(np.uint8), None, fx=2, fy=2, interpolation=cv2.INTER_NEAREST)
    contours, tree = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    if not contours:
        return None
    rings = [(contour[:, 0, :] + 0.5) * (downsample / 2) if len(contour) > 2 else None for contour in contours]
    pieces = []
    for index, ring in enumerate(rings):
        if ring is None or tree[0][index][3] != -1:
            continue
        holes = [hole for hole, links in zip(rings, tree[0], strict=True) if links[3] == index and hole is not None]
        pieces.append(shapely.Polygon(ring, holes))
    whole = shapely.unary_union(shapely.make_valid(np.array(pieces)))
    grown = shapely.buffer(whole, downsample / 4, join_style="mitre")
    slide = shapely.box(0, 0, spec.width, spec.height)
    outline = shapely.set_precision(shapely.simplify(shapely.intersection(grown, slide), downsample / 3), 0.01)
    parts = [part for part in shapely.get_parts(outline) if part.geom_type == "Polygon" and part.area > 0]
    if not parts:
        return None
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(parts)
