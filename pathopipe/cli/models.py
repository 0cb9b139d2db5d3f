"""``pathopipe models`` and ``evaluate``: the models there are, and how good they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("models")(models)
    app.command("evaluate")(evaluate)


def models(
    name: Annotated[str | None, typer.Argument(help="A model's name or its .safetensors file.")] = None,
) -> None:
    """List the models, or tell one model's card: classes, mpp, data, licence, measured accuracy.

    **Example**

    `pathopipe models nuclei`
    """
    from pathopipe.models.base import ModelSpec
    from pathopipe.models.load import load_card
    from pathopipe.registry import names

    if name is None:
        for each in names("pathopipe.models"):
            card = load_card(ModelSpec(name=each))
            print(f"{each:16} {card.mpp:g} µm/px  {', '.join(card.classes)}  {card.licence}")
        return
    card = load_card(ModelSpec(name=name))
    print(f"{card.name} {card.version} ({card.licence})")
    print(f"  classes        {', '.join(card.classes)}")
    print(f"  resolution     {card.mpp:g} µm/px, halo {card.halo_px} px, largest {card.max_diameter_um:g} µm")
    print(f"  sha256         {card.sha256}")
    for title, lines in (("data", card.data), ("accuracy", card.accuracy), ("limits", card.limits)):
        for number, line in enumerate(lines):
            print(f"  {title if not number else '':14} {line}")


def evaluate(
    predicted: Annotated[Path, typer.Argument(metavar="PRED", help="Label image, GeoJSON, or a folder of them.")],
    truth: Annotated[Path, typer.Argument(metavar="TRUTH", help="The same for the truth, matched by file stem.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare outlines with the truth: PQ, AJI, F1 at IoU 0.5, AP@0.5…0.9, per image and in all.

    **Example**

    `pathopipe evaluate results/a/cells.geojson.zip a.truth.geojson.zip`
    """
    from pathopipe.annotations.read import read_outlines
    from pathopipe.evaluation import as_text, evaluate_files

    result = evaluate_files(predicted, truth, lambda path: read_outlines(path).outlines)
    print(json.dumps(result.as_dict(), indent=2) if as_json else as_text(result))
