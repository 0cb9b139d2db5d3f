"""``pathopipe evaluate`` and ``agreement``: how well outlines agree with the truth, and raters with each other."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pathopipe.cli.options import LimitSettings, limits_of

if TYPE_CHECKING:
    from pathopipe.geometry import Outlines


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("evaluate")(evaluate)
    app.command("agreement")(agreement)


def evaluate(
    predicted: Annotated[Path, typer.Argument(metavar="PRED", help="Label image, GeoJSON, or a folder of them.")],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="The same for the truth, matched by file stem.")],
    sheets: Annotated[
        Path | None,
        typer.Option(
            "--sheets", metavar="FOLDER", help="Write pictures of hits, misses and false alarms.", file_okay=False
        ),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", help="For --sheets: the image or slide, or a folder of them, matched by stem."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="PRED", help="Also tell how much better PRED is than this prediction."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    settings: LimitSettings = None,
) -> None:
    """Compare outlines with the truth: F1, PQ, AJI, AJI+, Dice and AP, each image's and in all, with 95 % intervals.

    **Examples**

    `pathopipe evaluate results/a/cells.geojson.zip a.truth.geojson.zip`

    `pathopipe evaluate predicted/ labels/ --images images/ --sheets sheets/`

    `pathopipe evaluate new-model/ labels/ --baseline old-model/ --json`
    """
    from pathopipe.annotations.read import read_outlines
    from pathopipe.errors import ConfigError
    from pathopipe.evaluation import Difference, as_text, difference_text, evaluate_files

    if (sheets is None) != (images is None):
        raise ConfigError("--sheets and --images go together: where to write the pictures, and what they show")

    limits = limits_of(settings)

    def read(path: Path) -> Outlines:
        return read_outlines(path, limits.max_text_bytes).outlines

    result = evaluate_files(predicted, truth, read, limits)
    if sheets is not None and images is not None:
        from pathopipe.report.contact import read_cases, write_contact_sheets

        for sheet, number in write_contact_sheets(sheets, read_cases(predicted, truth, images, read, limits)).items():
            print(f"{sheet}: {number:,}", file=sys.stderr)
    gain = None if baseline is None else Difference(result, evaluate_files(baseline, truth, read, limits))
    if as_json:
        print(json.dumps(result.as_dict() | ({} if gain is None else {"difference": gain.as_dict()}), indent=2))
    else:
        print(as_text(result) if gain is None else f"{as_text(result)}\n\n{difference_text(gain)}")


def agreement(
    files: Annotated[
        list[Path], typer.Argument(metavar="A B [C…]", help="A rater's outlines each: GeoJSON or label image.")
    ],
    region: Annotated[
        Path | None,
        typer.Option(
            "--region", metavar="FILE.geojson", help="Compare within these annotations alone.", dir_okay=False
        ),
    ] = None,
    ignore_classes: Annotated[
        bool, typer.Option("--ignore-classes", help="Compare the outlines alone, as of one class.")
    ] = False,
    disagreement: Annotated[
        Path | None,
        typer.Option(
            "--map", metavar="FILE.geojson", help="Write the nuclei not agreed on, for QuPath.", dir_okay=False
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    settings: LimitSettings = None,
) -> None:
    """Compare two or more annotators' (or models') outlines and classes: counts, F1, PQ, AJI, and kappas.

    Outlines of an IoU above 0.5 are of the same nucleus. Cohen's and Fleiss' kappas are given twice: over all nuclei,
    where one that a rater did not outline counts as "none", and over those outlined by every rater in question.

    **Examples**

    `pathopipe agreement ann.geojson bob.geojson --map disagreement.geojson`

    `pathopipe agreement ann.geojson bob.geojson results/a/cells.geojson.zip --region common.geojson --json`
    """
    from pathopipe.annotations.disagreement import write_disagreement
    from pathopipe.annotations.rater import read_rater
    from pathopipe.annotations.read import read_region
    from pathopipe.errors import ConfigError
    from pathopipe.evaluation.comparison import compare_raters
    from pathopipe.evaluation.comparison_text import comparison_text
    from pathopipe.evaluation.raters import notes, rater_names

    if len(files) < 2:
        raise ConfigError("give the files of at least two raters, such as: pathopipe agreement ann.geojson bob.geojson")
    if disagreement is not None and disagreement.suffix.lower() not in (".geojson", ".json"):
        raise ConfigError(f"--map {disagreement}: QuPath reads the map from a file that ends in .geojson")
    limits = limits_of(settings)
    named = zip(rater_names(files), files, strict=True)
    read = [read_rater(file, name, ignore_classes, limits) for name, file in named]
    raters = [each.rater for each in read]
    for each in read:
        if each.left_out:
            print(f"note: {each.rater.name}: {each.left_out} objects without area left out", file=sys.stderr)
    where = None if region is None else read_region(region, limits.max_text_bytes)
    for note in notes(raters, where):
        print(f"note: {note}", file=sys.stderr)
    comparison = compare_raters(raters, where)
    print(json.dumps(comparison.as_dict(), indent=2) if as_json else comparison_text(comparison))
    if disagreement is not None:
        disagreement.parent.mkdir(parents=True, exist_ok=True)
        shown = write_disagreement(disagreement, comparison)
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in shown.kinds.items()) or "nothing: all agree"
        dropped = f"; {shown.dropped} without area left out" if shown.dropped else ""
        print(f"{disagreement}: {kinds}{dropped}", file=sys.stderr)
