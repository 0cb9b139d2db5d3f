"""``pathopipe train``: a new model from images and labels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from pathopipe.cli.options import Quiet, Verbose, verbosity

_PATHS = {"folder", "slide", "annotations"}
"""Keys of an image set that are paths; relative ones start at the configuration file's folder."""


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("train")(train)


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
    from pathopipe.models.train.loop import Standing, fit
    from pathopipe.models.train.origin import what_is_kept
    from pathopipe.progress import show_progress

    spec = _train_spec(config, settings or [], out)
    with show_progress(verbosity(verbose, quiet)) as progress:
        progress.stage(f"train {spec.out.name}", spec.iterations)
        if spec.start is not None:
            progress.say(what_is_kept(spec))
        told = 0

        def stepped(now: Standing) -> None:
            nonlocal told
            progress.advance(now.step - told)
            if verbose:
                progress.say(f"step {now.step} of {now.steps}: loss {now.loss:.4f}")
            told = now.step

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
        if isinstance(images, dict):
            images |= {key: config.parent / str(images[key]) for key in _PATHS & images.keys()}
    try:
        return TrainSpec.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{config}: {told(error)}") from None
