"""A map of the nuclei on which raters do not agree, for QuPath."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import shapely
from numpy.typing import NDArray

from pathopipe.annotations.colours import Colour
from pathopipe.annotations.geojson import HEAD, TAIL
from pathopipe.annotations.ids import CellIds
from pathopipe.annotations.valid import PER_PX, on_grid, tenths
from pathopipe.evaluation.comparison import Comparison
from pathopipe.evaluation.raters import NONE
from pathopipe.files import atomic_file
from pathopipe.geometry import Outlines

CLASS_DIFFERS = "Class differs"
"""Several raters outlined it, not all with the same class."""
SOME = "Not outlined by all"
"""Several raters outlined it with the same class, others did not."""
_COLOURS: dict[str, Colour] = {CLASS_DIFFERS: (240, 150, 0), SOME: (204, 70, 167)}
_ONLY: tuple[Colour, ...] = ((0, 114, 178), (213, 94, 0), (0, 158, 115), (86, 180, 233), (240, 228, 66), (120, 94, 240))
"""Of what one rater alone outlined, by rater; colours that the colour-blind can tell apart (Okabe and Ito 2008)."""


@dataclass(frozen=True)
class Disagreement:
    """What a map shows."""

    kinds: dict[str, int]
    """Nuclei by kind of disagreement, most first."""
    dropped: int
    """Outlines without any area on the files' grid of 0.1 px; they are not on the map."""


def write_disagreement(path: Path, comparison: Comparison) -> Disagreement:
    """Write the nuclei that not all raters outlined with the same class as detections, coloured by what differs.

    A nucleus has the outline of the first rater who outlined it. Its class in QuPath is the kind of disagreement
    ("Only Ann", "Not outlined by all", "Class differs"), its name and metadata say which class each rater gave, its
    measurements how many outlined it and who. Coordinates are those of the raters' files, with one decimal. The same
    comparison gives the same bytes.

    Parameters
    ----------
    path : Path
        The file (.geojson); it appears when it is whole.
    comparison : Comparison
        Of the raters.
    """
    chosen = np.flatnonzero(~comparison.agreed)
    written = on_grid(_outlines(comparison, chosen))
    lines = [orjson.dumps(feature) for feature in _features(comparison, chosen[written.index], written.outlines)]
    with atomic_file(path) as file:
        file.write(HEAD + b",\n".join(lines) + TAIL)
    kinds = Counter(_kind(comparison, nucleus) for nucleus in chosen.tolist())
    return Disagreement(dict(sorted(kinds.items(), key=lambda item: (-item[1], item[0]))), written.dropped)


def _outlines(comparison: Comparison, nuclei: NDArray[np.int64]) -> Outlines:
    """Return the outer ring of the largest piece of each nucleus, as the first rater drew it who has it."""
    first = (comparison.members[nuclei] >= 0).argmax(axis=1)
    rings = []
    for nucleus, rater in zip(nuclei, first, strict=True):
        pieces = shapely.get_parts(comparison.raters[rater].polygons[comparison.members[nucleus, rater]])
        pieces = pieces[shapely.get_type_id(pieces) == shapely.GeometryType.POLYGON]
        largest = pieces[np.argmax(shapely.area(pieces))]
        rings.append(shapely.get_coordinates(largest.exterior)[:-1])
    return Outlines.of(rings)


def _features(comparison: Comparison, nuclei: NDArray[np.int64], outlines: Outlines) -> Iterator[dict[str, Any]]:
    names = [rater.name for rater in comparison.raters]
    ids = CellIds("disagreement of " + ", ".join(names)).of(outlines)[0].astype("U36").tolist()
    for place, nucleus in enumerate(nuclei.tolist()):
        ring = tenths(outlines.ring(place)) / PER_PX
        given = comparison.given[nucleus].tolist()
        said = {name: NONE if code < 0 else comparison.classes[code] for name, code in zip(names, given, strict=True)}
        kind = _kind(comparison, nucleus)
        yield {
            "type": "Feature",
            "id": ids[place],
            "geometry": {"type": "Polygon", "coordinates": [[*ring.tolist(), ring[0].tolist()]]},
            "properties": {
                "objectType": "detection",
                "name": " | ".join(f"{name}: {label}" for name, label in said.items()),
                "classification": {"name": kind, "color": _colour(kind, given)},
                "measurements": {
                    "Raters who outlined it": sum(code >= 0 for code in given),
                    **{f"Outlined by {name}": int(code >= 0) for name, code in zip(names, given, strict=True)},
                },
                "metadata": said,
            },
        }


def _kind(comparison: Comparison, nucleus: int) -> str:
    given = comparison.given[nucleus]
    there = np.flatnonzero(given >= 0)
    if len(there) == 1:
        # QuPath takes a colon for the sign between a class and one derived from it, and refuses line breaks.
        return "Only " + " ".join(comparison.raters[there[0]].name.replace(":", "-").split())
    return CLASS_DIFFERS if len(set(given[there].tolist())) > 1 else SOME


def _colour(kind: str, given: list[int]) -> Colour:
    if kind in _COLOURS:
        return _COLOURS[kind]
    only = next(rater for rater, code in enumerate(given) if code >= 0)
    return _ONLY[only % len(_ONLY)]
