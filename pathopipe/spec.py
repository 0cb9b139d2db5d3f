"""The base of every stage's settings: small, frozen, picklable values that refuse unknown keys."""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Mapping
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from pathopipe.errors import ConfigError


class Spec(BaseModel):
    """Settings of one stage. Immutable, hashable, picklable; an unknown key or wrong type is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)


LARGEST_TEXT = 1_000_000
"""Characters of a settings file; ours have a few thousand."""


class _Loader(yaml.SafeLoader):
    """YAML of plain values alone: no tags that make objects, and no aliases, of which a few lines make gigabytes."""

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.composer.ComposerError(None, None, "aliases (*name) are not read: write the value out", mark)
        return super().compose_node(parent, index)


def parse_yaml(text: str, where: str) -> Any:
    """Return the plain values that YAML ``text`` holds; ``where`` it stands is told in errors.

    Raises
    ------
    ConfigError
        If it is not YAML, names types of Python, has aliases, or is too large or too deeply nested.
    """
    if len(text) > LARGEST_TEXT:
        raise ConfigError(f"{where}: {len(text):,} characters, and settings have no more than {LARGEST_TEXT:,}")
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - it is a SafeLoader
    except RecursionError:
        raise ConfigError(f"{where} is not YAML of settings: nested too deeply") from None
    except (yaml.YAMLError, ValueError, TypeError, OverflowError) as error:  # a date of month 13, a number of a mile
        raise ConfigError(f"{where} is not YAML: {error}") from None


_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = 120


def told(error: ValidationError) -> str:
    """Return what is wrong in one line for the user: each key, the complaint, and the value given."""
    problems = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "the whole"
        message = "no such key" if problem["type"] == "extra_forbidden" else problem["msg"]
        problems.append(f"{key}: {message} (given: {_SHORT.repr(problem['input'])})")
    return "; ".join(problems)


def fingerprint(values: Mapping[str, Any]) -> str:
    """Return a short, stable digest of JSON-able ``values``: 16 hexadecimal digits of SHA-256.

    Equal values give equal digests on every machine and Python version; key order does not matter.

    Raises
    ------
    TypeError
        If a value cannot be written as JSON.
    """
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]
