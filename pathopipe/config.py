"""The settings of a run: the stages' own specs put together, from defaults, a YAML file and ``--set``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from pathopipe.annotations.spec import AnnotationSpec
from pathopipe.engine.spec import EngineSpec
from pathopipe.errors import ConfigError
from pathopipe.limits import LimitsSpec
from pathopipe.models.base import ModelSpec
from pathopipe.scores.spec import ScaleCheckSpec
from pathopipe.slide.base import SlideSpec
from pathopipe.spec import Spec, parse_yaml, told
from pathopipe.stitch.spec import StitchSpec
from pathopipe.store.spec import StoreSpec
from pathopipe.tiling.grid import GridSpec
from pathopipe.tiling.spec import ArtefactSpec, TissueSpec


class Config(Spec):
    """All settings of a run; ``configs/default.yaml`` lists every key with a comment."""

    slide: SlideSpec = SlideSpec()
    tissue: TissueSpec = TissueSpec()
    artefacts: ArtefactSpec = ArtefactSpec()
    grid: GridSpec = GridSpec()
    store: StoreSpec = StoreSpec()
    model: ModelSpec = ModelSpec()
    engine: EngineSpec = EngineSpec()
    stitch: StitchSpec = StitchSpec()
    annotations: AnnotationSpec = AnnotationSpec()
    scale_check: ScaleCheckSpec = ScaleCheckSpec()
    limits: LimitsSpec = LimitsSpec()


def load_config(file: Path | None = None, settings: Iterable[str] = (), **sections: Mapping[str, Any]) -> Config:
    """Return the configuration: defaults, then ``file``, then ``settings``, then ``sections``.

    Parameters
    ----------
    file : Path, optional
        YAML with the sections of :class:`Config`; keys left out keep their defaults.
    settings : iterable of str
        "section.key=value" as given to ``--set``; the value is read as YAML.
    **sections
        Values of the command line's own options, such as ``engine={"workers": 2}``; None values are left out.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a key or value is wrong; the message names it.
    """
    values: dict[str, dict[str, Any]] = {}
    if file is not None:
        _merge(values, read_yaml(file), str(file))
    for text in settings:
        key, value = setting(text, "section.key=value, such as grid.tile_px=2048")
        section, dot, name = key.partition(".")
        if not (dot and name):
            raise ConfigError(f"--set {text}: expected section.key=value, such as grid.tile_px=2048")
        _merge(values, {section: {name: value}}, f"--set {text}")
    for section, given in sections.items():
        _merge(values, {section: {name: value for name, value in given.items() if value is not None}}, section)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError(f"wrong configuration: {told(error)}") from None


def setting(text: str, expected: str) -> tuple[str, Any]:
    """Return key and value of ``text``, a "key=value" given to ``--set``; the value is read as YAML.

    Raises
    ------
    ConfigError
        If it is not of that form; ``expected`` then tells the user what is.
    """
    key, equals, value = text.partition("=")
    if not (equals and key.strip()):
        raise ConfigError(f"--set {text}: expected {expected}")
    return key.strip(), parse_yaml(value, f"--set {text}")


def read_yaml(file: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds; empty for an empty file.

    Raises
    ------
    ConfigError
        If it cannot be read, or holds something else.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the configuration {file}: {error}") from None
    found = parse_yaml(text, str(file))
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ConfigError(f"{file}: expected sections such as 'grid:' with keys below them; see configs/default.yaml")
    return found


def _merge(into: dict[str, dict[str, Any]], given: Mapping[str, Any], where: str) -> None:
    for section, keys in given.items():
        if section not in Config.model_fields:
            raise ConfigError(f"{where}: no section {section!r}; there are: {', '.join(Config.model_fields)}")
        if keys is None:
            continue
        if not isinstance(keys, Mapping):
            raise ConfigError(f"{where}: section {section!r} needs keys below it, such as key: value")
        known = type(Config.model_fields[section].default).model_fields
        for unknown in keys.keys() - known.keys():
            raise ConfigError(f"{where}: no such key; {section} has: {', '.join(known)} (given: {unknown!r})")
        into.setdefault(section, {}).update(keys)
