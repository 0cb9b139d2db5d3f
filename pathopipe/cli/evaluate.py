"""``pathopipe evaluate``: how well outlines agree with the truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("evaluate")(evaluate)


def evaluate(
    predicted: Annotated[Path, typer.Argument(metavar="PRED", help="Label image, GeoJSON, or a folder of them.")],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="The same for the truth, matched by file stem.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare outlines with the truth: F1, PQ, AJI, AJI+, Dice and AP, each image's and in all, with 95 % intervals.

    **Example**

    `pathopipe evaluate results/a/cells.geojson.zip a.truth.geojson.zip`
    """
    from pathopipe.annotations.read import read_outlines
    from pathopipe.evaluation import as_text, evaluate_files

    result = evaluate_files(predicted, truth, lambda path: read_outlines(path).outlines)
    print(json.dumps(result.as_dict(), indent=2) if as_json else as_text(result))
