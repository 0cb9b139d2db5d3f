"""``pathopipe train``: a new model from images and labels."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pathopipe.cli.interrupt import told_when_interrupted
from pathopipe.cli.options import Quiet, Verbose, verbosity

if TYPE_CHECKING:
    from pathopipe.models.train.loop import Standing
    from pathopipe.models.train.spec import TrainSpec
    from pathopipe.progress import Progress

_CURVES_EVERY_S = 60.0
_PATHS = {"folder", "slide", "annotations", "unlabelled"}
"""Keys of a set of training images that are paths."""


def register(app: typer.Typer) -> None:
    """Add this module's command."""
    app.command("train")(train)


def train(
    config: Annotated[
        Path, typer.Option("--config", help="YAML: images, network, length; see configs/train.", dir_okay=False)
    ],
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="One setting, such as iterations=5000 or loss.dice=0.5."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Model file to write (.safetensors).")] = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Train a model from images and labels; an interrupted training goes on from its last checkpoint.

    **Example**

    `pathopipe train --config configs/train/fine-tune.yaml --out mine.safetensors`   then
    `pathopipe run slides/ --out results/ --model mine.safetensors`
    """
    from pathopipe.models.train.loop import fit
    from pathopipe.models.train.origin import what_is_kept
    from pathopipe.progress import show_progress

    spec = train_spec(config, settings or [], out)
    with told_when_interrupted(), show_progress(verbosity(verbose, quiet)) as progress:
        if spec.start is not None:
            progress.say(what_is_kept(spec))
        teller = _Teller(spec, progress, lines=bool(verbose))
        try:
            path = fit(spec, teller)
        finally:
            teller.draw()
        print(path)


class _Teller:
    """Tells how a training goes: on the bar, in lines with ``-v``, and as curves beside the model."""

    def __init__(self, spec: TrainSpec, progress: Progress, lines: bool) -> None:
        self._spec, self._progress, self._lines = spec, progress, lines
        self._step: int | None = None
        self._drawn_at = time.monotonic()

    def __call__(self, now: Standing) -> None:
        """Tell it."""
        if self._step is None:
            self._progress.stage(f"train {self._spec.out.name}", now.steps, now.step)
        else:
            self._progress.advance(now.step - self._step)
        self._step = now.step
        figures = [f"loss {now.loss:.4f}"] if now.loss is not None else []
        if now.f1 is not None:
            figures.append(f"F1 {now.f1:.3f} (best {now.best_f1:.3f})")
        self._progress.note(", ".join(figures))
        if now.logged and self._lines:
            self._progress.say(f"step {now.step} of {now.steps}: {', '.join(figures)}")
        if now.logged and time.monotonic() - self._drawn_at >= _CURVES_EVERY_S:
            self.draw()

    def draw(self) -> None:
        """Write ``<out>.curves.png``, once there is something to draw."""
        from pathopipe.files import atomic_file
        from pathopipe.models.train.log import log_path, read_log
        from pathopipe.report.curves import training_curves

        lines = read_log(log_path(self._spec.out))
        if self._step is None or not lines:
            return
        with atomic_file(self._spec.out.with_name(f"{self._spec.out.name}.curves.png")) as file:
            file.write(training_curves(lines, f"{self._spec.name} {self._spec.version}"))
        self._drawn_at = time.monotonic()


def train_spec(config: Path, settings: list[str], out: Path | None) -> TrainSpec:
    """Return the training's settings: the file (its paths start at its folder), then ``--set``, then ``--out``."""
    from pydantic import ValidationError

    from pathopipe.config import read_yaml, setting
    from pathopipe.errors import ConfigError
    from pathopipe.models.train.spec import TrainSpec
    from pathopipe.spec import told

    values = _placed(read_yaml(config), config.parent)
    for text in settings:
        _put(values, *setting(text, "such as iterations=5000"))
    if out is not None:
        values["out"] = out
    try:
        return TrainSpec.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"{config}: {told(error)}") from None


def _placed(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Return the settings of a file in ``folder`` with its relative paths placed there."""
    sets = [_set_placed(each, folder) if isinstance(each, dict) else each for each in values.get("sets") or ()]
    teaching = values.get("teaching")
    return {
        **values,
        **({"sets": sets} if sets else {}),
        **_model_placed(values, "start", folder),
        **({"teaching": _teachers_placed(teaching, folder)} if isinstance(teaching, dict) else {}),
    }


def _set_placed(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    paths = {key: folder / str(given[key]) for key in _PATHS & given.keys()}
    return {**given, **paths, **_model_placed(given, "teacher", folder)}


def _teachers_placed(given: dict[str, Any], folder: Path) -> dict[str, Any]:
    models = given.get("models")
    if not isinstance(models, list):
        return given
    placed = [_model_placed({"model": each}, "model", folder).get("model", each) for each in models]
    return {**given, "models": [str(each) for each in placed]}


def _model_placed(given: dict[str, Any], key: str, folder: Path) -> dict[str, Path]:
    """Return the model file under ``key``, if it is one: without the suffix it is the name of an installed model."""
    name = given.get(key)
    return {key: folder / name} if isinstance(name, str) and name.endswith(".safetensors") else {}


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    """Set ``key`` (in place), which may be that of a section and of a key in it, such as "validation.every"."""
    section, dot, name = key.partition(".")
    if not dot:
        values[key] = value
        return
    inner = values.get(section) or {}
    values[section] = {**inner, name: value} if isinstance(inner, dict) else {name: value}
