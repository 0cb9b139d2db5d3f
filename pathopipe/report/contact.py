"""Contact sheets of an evaluation: hits, misses and false alarms, each close up, to judge them by eye."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from pathopipe.evaluation.files import ReadOutlines, files_by_stem, matched_files, read_polygons
from pathopipe.evaluation.kinds import FALSE_ALARMS, MISSES, Kind, kinds
from pathopipe.evaluation.pairs import EvaluationError, Pairs, polygon_pairs
from pathopipe.files import atomic_file
from pathopipe.geometry import Rect
from pathopipe.limits import LIMITS, LimitsSpec
from pathopipe.report.image_files import Read, open_image
from pathopipe.report.lettering import Colour, width_of, write

MOST = 48
"""Objects on a sheet; of more, so many are drawn by lot, the same ones every time."""
COLUMNS = 6
SIDE_PX = 120
"""Side of a close-up."""
TRUTH: Colour = (0, 225, 255)
PREDICTED: Colour = (255, 225, 0)
GREY: Colour = (110, 110, 110)
BLACK: Colour = (0, 0, 0)
_GAP, _SEAM, _TEXT, _SHIFT = 12, 2, 12, 4
_TITLES = {
    "hits": "Hits: true nuclei that were found (IoU > 0.5), the worst outline first",
    "misses": "Misses: true nuclei without a partner, those first that were nearly found",
    "false_alarms": "False alarms: predicted nuclei without a partner, those first that nearly had one",
}


@dataclass(frozen=True, eq=False)
class Case:
    """One image with its prediction and truth."""

    name: str
    image: Path
    """A picture, or a slide."""
    predicted: NDArray[np.object_]
    """(n,) shapely polygons in pixels of the image (level 0)."""
    truth: NDArray[np.object_]
    """The same for the truth."""


class Subject(NamedTuple):
    """What one close-up is about."""

    case: int
    polygon: shapely.Geometry
    iou: float
    """With its partner, or with the object that it overlaps best; 0 where there is none."""
    kind: str = ""
    """What is wrong with it."""


def read_cases(
    predicted: Path, truth: Path, images: Path, read_outlines: ReadOutlines, limits: LimitsSpec = LIMITS
) -> list[Case]:
    """Return what :func:`~pathopipe.evaluation.evaluate_files` compares, with the image of each pair.

    Parameters
    ----------
    predicted, truth : Path
        Label images or polygon files, or folders of them.
    images : Path
        The image of a single pair, or a folder with an image of the same stem for each.
    read_outlines : callable
        Reads polygon files.

    Raises
    ------
    EvaluationError
        If a file cannot be read, or an image is not there.
    """
    files = matched_files(predicted, truth)
    there = dict.fromkeys(files, images) if images.is_file() and len(files) == 1 else files_by_stem(images)
    if missing := sorted(set(files) - set(there)):
        raise EvaluationError(f"{images} lacks {len(missing)} images; one is that of {missing[0]!r}")
    return [
        Case(stem, there[stem], *(read_polygons(path, read_outlines, limits) for path in both))
        for stem, both in files.items()
    ]


def write_contact_sheets(folder: Path, cases: Sequence[Case]) -> dict[Path, int]:
    """Write ``hits.png``, ``misses.png`` and ``false_alarms.png`` into ``folder``, replacing those of an earlier time.

    Returns
    -------
    dict of Path to int
        Each sheet, and how many objects there are of its kind.

    Raises
    ------
    SlideError
        If an image cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    subjects = _subjects(cases)
    chosen = {kind: _drawn_by_lot(those) for kind, those in subjects.items()}
    close_ups = _close_ups(cases, chosen)
    written = {}
    for kind, those in chosen.items():
        lot = f"{len(those)} of {len(subjects[kind]):,}, drawn by lot"
        title = f"{_TITLES[kind]} ({lot if len(those) < len(subjects[kind]) else len(those)})"
        sheet = _sheet(title, [(close_ups[kind, place], _caption(cases, each)) for place, each in enumerate(those)])
        with atomic_file(folder / f"{kind}.png") as file:
            sheet.save(file, "PNG")
        written[folder / f"{kind}.png"] = len(subjects[kind])
    return written


def _subjects(cases: Sequence[Case]) -> dict[str, list[Subject]]:
    """Return every object by kind, in the order of the images."""
    found: dict[str, list[Subject]] = {kind: [] for kind in _TITLES}
    for number, case in enumerate(cases):
        pairs = polygon_pairs(case.predicted, case.truth)
        hits = pairs.index[pairs.partners, 1]
        ious = dict(zip(hits.tolist(), pairs.iou[pairs.partners].tolist(), strict=True))
        found["hits"] += [Subject(number, case.truth[place], ious[place]) for place in sorted(ious)]
        ours, theirs = kinds(pairs)
        for sheet, side, objects, wrong, names in (
            ("misses", 1, case.truth, theirs, MISSES),
            ("false_alarms", 0, case.predicted, ours, FALSE_ALARMS),
        ):
            best = _best(pairs, side, len(objects))
            found[sheet] += [
                Subject(number, objects[place], float(best[place]), names[Kind(wrong[place])].replace("_", " "))
                for place in np.flatnonzero(wrong)
            ]
    return found


def _best(pairs: Pairs, side: int, number: int) -> NDArray[np.float64]:
    best = np.zeros(number)
    np.maximum.at(best, pairs.index[:, side], pairs.iou)
    return best


def _drawn_by_lot(those: list[Subject]) -> list[Subject]:
    if len(those) > MOST:
        lot = np.sort(np.random.default_rng(0).choice(len(those), MOST, replace=False))
        those = [those[place] for place in lot]
    hits = all(each.iou > 0.5 for each in those)
    return sorted(those, key=lambda each: each.iou if hits else -each.iou)


def _close_ups(cases: Sequence[Case], chosen: dict[str, list[Subject]]) -> dict[tuple[str, int], Image.Image]:
    """Return the close-up of every subject by kind and place; an image is opened once, and only if it is needed."""
    pictures = {}
    for number, case in enumerate(cases):
        wanted = [
            (kind, place, each)
            for kind, those in chosen.items()
            for place, each in enumerate(those)
            if each.case == number
        ]
        if wanted:
            with open_image(case.image) as read:
                for kind, place, each in wanted:
                    pictures[kind, place] = _close_up(read, case, each.polygon)
    return pictures


def _close_up(read: Read, case: Case, subject: shapely.Geometry) -> Image.Image:
    """Return the subject in the middle of its surroundings, with all outlines and, on the right, without."""
    rect = _window(case, subject)
    plain = read(rect, SIDE_PX, SIDE_PX)
    drawn = plain.copy()
    area = shapely.box(*rect)
    for objects, colour in ((case.truth, TRUTH), (case.predicted, PREDICTED)):
        for polygon in objects[shapely.intersects(objects, area)]:
            _draw(drawn, rect, polygon, colour, 2 if polygon is subject else 1)
    return Image.fromarray(np.concatenate([drawn, np.full((SIDE_PX, _SEAM, 3), 255, np.uint8), plain], axis=1))


def _window(case: Case, subject: shapely.Geometry) -> Rect:
    """Return a square that shows the subject and about its neighbours: all of an image at one scale where they fit."""
    x0, y0, x1, y1 = subject.bounds
    known = case.truth if len(case.truth) else case.predicted
    usual = 2 * np.sqrt(np.median(shapely.area(known)) / np.pi)
    half = max(3 * usual, 1.3 * max(x1 - x0, y1 - y0)) / 2
    x, y = (x0 + x1) / 2, (y0 + y1) / 2
    return Rect(float(x - half), float(y - half), float(x + half), float(y + half))


def _draw(picture: NDArray[np.uint8], rect: Rect, polygon: shapely.Geometry, colour: Colour, thickness: int) -> None:
    for line in _lines(polygon):
        pixels = (shapely.get_coordinates(line) - (rect.x0, rect.y0)) * SIDE_PX / rect.width - 0.5
        fixed = np.round(pixels * 2**_SHIFT).astype(np.int32)
        cv2.polylines(picture, [fixed], True, colour, thickness, cv2.LINE_AA, _SHIFT)


def _lines(polygon: shapely.Geometry) -> Iterator[shapely.LineString]:
    for part in shapely.get_parts(polygon):
        if part.geom_type == "Polygon":
            yield from shapely.get_parts(shapely.boundary(part))


def _caption(cases: Sequence[Case], subject: Subject) -> str:
    x, y = shapely.centroid(subject.polygon).coords[0]
    many = len(Counter(case.name for case in cases)) > 1
    name = f"{cases[subject.case].name[:12]} " if many else ""
    return f"{name}{x:.0f},{y:.0f}  {subject.iou:.2f} {subject.kind}".rstrip()


def _sheet(title: str, pictures: list[tuple[Image.Image, str]]) -> Image.Image:
    cell_w, cell_h = 2 * SIDE_PX + _SEAM + _GAP, SIDE_PX + _TEXT + 10
    top, rows = 4 * _TEXT, -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * cell_w + _GAP, top + max(rows, 1) * cell_h), "white")
    draw = ImageDraw.Draw(sheet)
    write(draw, (_GAP, _TEXT // 2), title, _TEXT + 4, BLACK)
    x: float = _GAP
    for text, colour in (("truth", TRUTH), ("prediction", PREDICTED)):
        draw.rectangle((x, 2 * _TEXT + 5, x + _TEXT, 3 * _TEXT + 3), fill=colour, outline=BLACK)
        write(draw, (x + _TEXT + 5, 2 * _TEXT + 2), text, _TEXT, BLACK)
        x += _TEXT + width_of(draw, text, _TEXT) + 20
    write(draw, (x, 2 * _TEXT + 2), "below: x,y in pixels of the image, IoU, and what is wrong", _TEXT, GREY)
    for place, (picture, caption) in enumerate(pictures):
        left, up = _GAP + place % COLUMNS * cell_w, top + place // COLUMNS * cell_h
        sheet.paste(picture, (left, up))
        write(draw, (left, up + SIDE_PX + 1), caption, _TEXT, GREY)
    if not pictures:
        write(draw, (_GAP, top + SIDE_PX // 2), "none", _TEXT + 4, GREY)
    return sheet
