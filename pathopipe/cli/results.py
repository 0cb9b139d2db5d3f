"""``pathopipe validate``, ``score`` and ``report``: what can be done with results that are there."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pathopipe.cli.options import LimitSettings, limits_of

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Output folder of a run.", exists=True, file_okay=False)]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("validate")(validate)
    app.command("score")(score)
    app.command("report")(report)


def validate(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE…", help="GeoJSON (.geojson, .json, .gz, .zip) of any tool.")
    ],
    settings: LimitSettings = None,
) -> None:
    """Tell whether QuPath would import GeoJSON whole and as meant.

    **Example**

    `pathopipe validate results/*/cells.geojson.zip results/*/annotations.geojson`
    """
    from pathopipe.annotations.validate import validate as check

    fine, limits = True, limits_of(settings)
    for file in files:
        result = check(file, limits.max_text_bytes)
        print(result.as_text())
        fine &= result.ok
    if not fine:
        raise typer.Exit(1)


def score(folder: Folder) -> None:
    """Compute the scores anew from the cells and tissue of a finished run.

    **Example**

    `pathopipe score results/`
    """
    from pathopipe.rescore import rescore

    for name in rescore(folder):
        print(name)


def report(folder: Folder) -> None:
    """Write report.html anew from what is in an output folder.

    **Example**

    `pathopipe report results/`
    """
    from pathopipe.report.page import write_report

    print(write_report(folder))
