"""``pathopipe names``: which slide a pseudonym stands for."""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Annotated

import typer

from pathopipe.cli.run import Slides


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("names")(names)


def names(
    slides: Slides,
    key: Annotated[
        Path, typer.Option("--anonymous", metavar="KEYFILE", help="The key of the run.", exists=True, dir_okay=False)
    ],
) -> None:
    """Print which slide stands under which pseudonym in the outputs of `pathopipe run --anonymous`, as CSV.

    Give the slides as they were given to the run. The table is not for those who get the results.

    **Example**

    `pathopipe names slides/ --anonymous study.key > names.csv`
    """
    from pathopipe.anonymity import read_key
    from pathopipe.slide.find import find_slides

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("id", "slide", "path"))
    writer.writerows(read_key(key).table(find_slides(slides)))
