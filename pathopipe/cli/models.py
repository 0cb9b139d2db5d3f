"""``pathopipe models``, ``evaluate`` and ``train``: the models there are, how good they are, and new ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pathopipe.cli.options import Quiet, Verbose, verbosity


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("models")(models)
    app.command("evaluate")(evaluate)
    app.command("train")(train)


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


def train(
    config: Annotated[
        Path, typer.Option("--config", help="YAML: images, network, length; see workflows/train-nuclei.")
    ],
    settings: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as iterations=5000.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Model file to write (.safetensors).")] = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Train a model from images and labels; an interrupted training goes on from its last checkpoint.

    **Example**

    `pathopipe train --config workflows/train-nuclei/nuclei.yaml --out mine.safetensors`   then
    `pathopipe run slides/ --out results/ --model mine.safetensors`
    """
    from pathopipe.models.train.loop import fit
    from pathopipe.progress import show_progress

    spec = _train_spec(config, settings or [], out)
    with show_progress(verbosity(verbose, quiet)) as progress:
        progress.stage(f"train {spec.out.name}", spec.iterations)
        told = 0

        def stepped(done: int, total: int, loss: float) -> None:
            nonlocal told
            progress.advance(done - told)
            if verbose:
                progress.say(f"step {done} of {total}: loss {loss:.4f}")
            told = done

        print(fit(spec, stepped))


def _train_spec(config: Path, settings: list[str], out: Path | None) -> Any:
    """Return the training's settings: the file, then ``--set``, then ``--out``; folders start at the file's."""
    from pydantic import ValidationError

    from pathopipe.config import read_yaml, setting
    from pathopipe.errors import ConfigError
    from pathopipe.models.train.spec import TrainSpec
    from pathopipe.spec import told

    values: dict[str, Any] = dict(read_yaml(config))
    values |= dict(setting(text, "such as iterations=5000") for text in settings)
    if out is not None:
        values["out"] = out
    for images in values.get("sets") or ():
        if isinstance(images, dict) and "folder" in images:
            images["folder"] = config.parent / str(images["folder"])
    try:
        return TrainSpec.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{config}: {told(error)}") from None
