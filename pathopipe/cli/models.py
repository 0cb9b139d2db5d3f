"""``pathopipe models``: the models there are."""

from __future__ import annotations

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("models")(models)


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
