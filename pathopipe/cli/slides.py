"""``pathopipe info``: what a slide says of itself."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from pathopipe.cli.options import LimitSettings, Mpp, limits_of


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("info")(info)


def info(
    slide: Annotated[str, typer.Argument(help="A slide: file, folder of a multi-file format, or URL.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    mpp: Mpp = None,
    settings: LimitSettings = None,
) -> None:
    """Tell a slide's levels, resolution and where it came from, and what is unusual.

    **Example**

    `pathopipe info slide.svs --json | jq .mpp`
    """
    from pathopipe.slide.base import SlideSpec
    from pathopipe.slide.describe import as_text, describe
    from pathopipe.slide.open import open_slide

    with open_slide(slide, SlideSpec(mpp_if_missing=mpp), limits_of(settings)) as opened:
        print(json.dumps(describe(opened.info), indent=2) if as_json else as_text(opened.info))
