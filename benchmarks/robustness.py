"""Accuracy of a model where a slide is not as it should be: other stains, blur, JPEG, light, a misstated resolution.

    python benchmarks/robustness.py --data FOLDER [--model NAME|FILE] [--images N] [--no-page]

FOLDER holds ``eval/miccai_seg15`` and ``eval/tcga_glioma36`` as for ``accuracy.py``, and ``unlabelled`` with H&E
images, whose stain vectors span the range of laboratories. Every image is altered, then predicted and compared with its
truth as in ``accuracy.py``. Writes the section "robustness" of docs/robustness.md and docs/images/robustness.png.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from accuracy import evaluate_set, predict_labels
from alterations import Alteration, Series, all_series
from chart import Curve, Panel, save_panels
from pages import DOCS, fill_section, page_options, table
from stains import seen_stains, spread

from pathopipe.models.base import ModelSpec, Predictor
from pathopipe.models.load import load_predictor
from pathopipe.scores.scale import diameters_um, scale_remark, zoom_for
from pathopipe.scores.spec import ScaleCheckSpec

SETS = {"miccai_seg15": "MICCAI 2015", "tcga_glioma36": "TCGA gliomas"}
SCALE_ERROR = "scale error"
LABORATORIES = 5
CHECK = ScaleCheckSpec(min_cells=50)
"""A set has fewer cells than a slide."""
UNALTERED = Series("unaltered", "", 0.0, (0.0,), lambda _: (lambda rgb, mpp: (rgb, mpp),))


@dataclass(frozen=True)
class Measured:
    """What came of one alteration on one set: the mean over the ways of doing it, and the lowest and highest F1."""

    f1: float
    pq: float
    diameter_um: float
    """Median diameter of what was found, in the µm that the stated resolution makes."""
    found: float
    """Objects predicted per true one."""
    f1_low: float
    f1_high: float
    remark: bool
    """Whether the scale check of a run would speak up, all images of the set taken for one slide and its field."""


Results = dict[tuple[str, float, str], Measured]
"""Name of the series, value and set to what was measured."""


def main() -> None:
    chosen = page_options(__doc__.splitlines()[0]).parse_args()
    cv2.setNumThreads(1)
    began = time.perf_counter()
    predictor = load_predictor(ModelSpec(name=chosen.model, device="cpu"))
    seen = seen_stains(chosen.data / "unlabelled")
    laboratories = tuple(seen[name] for name in spread(seen, LABORATORIES))
    every = list(all_series(laboratories))
    results: Results = {}
    with sets_of(chosen.data / "eval", chosen.images) as folders:
        for series, value, name in steps(every):
            checked = series is UNALTERED or series.name == SCALE_ERROR
            results[series.name, value, name] = measured(predictor, folders[name], series.of(value), checked)
            told = results[series.name, value, name]
            print(f"{series.name:14} {value:<5g} {name:14} F1 {told.f1:.3f}  PQ {told.pq:.3f}", flush=True)
    images = f"{chosen.images} images of each set" if chosen.images else "all images"
    minutes = (time.perf_counter() - began) / 60
    note = (
        f"Model `{predictor.card.name}` {predictor.card.version} (SHA-256 {predictor.card.sha256[:12]}), {images}; "
        f"{len(seen)} stain pairs seen, {len(laboratories)} of them drawn. `python benchmarks/robustness.py`, "
        f"{minutes:.0f} minutes on one thread."
    )
    text = section(every, results, note)
    if chosen.no_page:
        print(text)
        return
    save_panels(DOCS / "images" / "robustness.png", panels(every, results), columns=2)
    fill_section(DOCS / "robustness.md", "robustness", text)


def steps(every: list[Series]) -> Iterator[tuple[Series, float, str]]:
    """Yield every series, value and set to measure, what is not altered first."""
    for series in (UNALTERED, *every):
        for value in series.values:
            for name in SETS:
                yield series, value, name


@contextmanager
def sets_of(folder: Path, images: int | None) -> Iterator[dict[str, Path]]:
    """Give the folder of each set, with ``images`` images spread over it where not all are wanted."""
    if images is None:
        yield {name: folder / name for name in SETS}
        return
    with tempfile.TemporaryDirectory() as work:
        for name in SETS:
            paths = sorted((folder / name / "images").glob("*.png"))
            for kind in ("images", "labels"):
                (Path(work) / name / kind).mkdir(parents=True)
                for index in np.unique(np.linspace(0, len(paths) - 1, images).round().astype(int)):
                    source = folder / name / kind / paths[index].name
                    (Path(work) / name / kind / paths[index].name).symlink_to(source.resolve())
        yield {name: Path(work) / name for name in SETS}


def measured(predictor: Predictor, folder: Path, ways: tuple[Alteration, ...], checked: bool = False) -> Measured:
    """Return what comes of altering the images of ``folder`` in each of ``ways``; ``checked`` asks the scale check."""
    each = []
    remarked = False
    for alter in ways:
        found: list[np.ndarray] = []
        whole = evaluate_set(folder, _altered(predictor, alter, found), None)
        areas = np.concatenate(found)
        median = float(np.median(diameters_um(areas))) if len(areas) else float("nan")
        pool = whole.pooled
        each.append((pool.f1 or 0.0, whole.mean("pq") or 0.0, median, pool.predicted / pool.truth))
        if checked and (zoom := zoom_for(areas, CHECK)) is not None:
            seen: list[np.ndarray] = []
            evaluate_set(folder, _altered(predictor, alter, seen, zoom), None)
            remarked = scale_remark(areas, 1.0, CHECK, zoom, np.concatenate(seen)) is not None
    f1, pq, diameter, found_per_true = np.mean(each, axis=0)
    scores = [one[0] for one in each]
    return Measured(f1, pq, diameter, found_per_true, min(scores), max(scores), remarked)


def _altered(
    predictor: Predictor, alter: Alteration, areas: list[np.ndarray], zoom: float = 1.0
) -> Callable[[np.ndarray, float], np.ndarray]:
    """Return the way to segment an image after ``alter``; the areas of what is found, in µm², go into ``areas``."""

    def way(rgb: np.ndarray, mpp: float) -> np.ndarray:
        image, stated = alter(rgb, mpp)
        labels = predict_labels(predictor, image, stated * zoom)
        counts = np.bincount(labels.ravel())[1:]
        areas.append(counts[counts > 0] * stated**2)
        return labels

    return way


def section(every: list[Series], results: Results, note: str) -> str:
    """Return the section as Markdown: the picture, a table, what the scale check says, how it was made."""
    picture = "![F1 and PQ under each alteration](images/robustness.png)"
    head = ["altered", "value", *(f"{figure}, {name}" for name in SETS.values() for figure in ("F1", "PQ"))]
    rows = []
    for series in (UNALTERED, *every):
        for value in series.values:
            row = [series.name, "" if series is UNALTERED else f"{value:g}"]
            for name in SETS:
                row += _cells(results[series.name, value, name], results["unaltered", 0.0, name], series)
            rows.append(row)
    return "\n\n".join([note, picture, table(head, rows), "### Sizes where the scale is wrong", scale_table(results)])


def _cells(here: Measured, plain: Measured, series: Series) -> list[str]:
    if series is UNALTERED:
        return [f"**{here.f1:.3f}**", f"{here.pq:.3f}"]
    span = f" [{here.f1_low:.3f}, {here.f1_high:.3f}]" if here.f1_low < here.f1_high else ""
    return [f"{here.f1:.3f} ({here.f1 - plain.f1:+.3f}){span}", f"{here.pq:.3f}"]


def scale_table(results: Results) -> str:
    """Return how large nuclei seem where the stated resolution is wrong, and whether a run would remark it."""
    rows = []
    values = sorted({value for series, value, _ in results if series == SCALE_ERROR} | {1.0})
    for value in values:
        row = [f"{value:g}"]
        for name in SETS:
            here = results["unaltered", 0.0, name] if value == 1 else results[SCALE_ERROR, value, name]
            row += [f"{here.diameter_um:.1f}", f"{here.found:.2f}", "yes" if here.remark else "no"]
        rows.append(row)
    head = ["µm/px stated / true"]
    for name in SETS.values():
        head += [f"median diameter µm, {name}", "found / true nuclei", "remarked"]
    return table(head, rows)


def panels(every: list[Series], results: Results) -> list[Panel]:
    """Return one chart a series."""
    drawn = []
    for series in every:
        values = sorted({*series.values, series.unaltered})
        curves = []
        for colour, (name, title) in enumerate(SETS.items()):
            here = [
                results["unaltered", 0.0, name] if value == series.unaltered else results[series.name, value, name]
                for value in values
            ]
            spans = tuple((each.f1_low, each.f1_high) for each in here)
            f1, pq = ([getattr(each, figure) for each in here] for figure in ("f1", "pq"))
            curves += [
                Curve(f"F1, {title}", tuple(zip(values, f1, strict=True)), spans, False, colour),
                Curve(f"PQ, {title}", tuple(zip(values, pq, strict=True)), (), True, colour),
            ]
        drawn.append(
            Panel(
                series.name,
                series.axis,
                (values[0], values[-1]),
                (0.0, 1.0),
                tuple(values),
                (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
                tuple(curves),
                series.unaltered,
            )
        )
    return drawn


if __name__ == "__main__":
    main()
