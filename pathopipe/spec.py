"""The base of every stage's settings: small, frozen, picklable values that refuse unknown keys."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError


class Spec(BaseModel):
    """Settings of one stage. Immutable, hashable, picklable; an unknown key or wrong type is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


def told(error: ValidationError) -> str:
    """Return what is wrong in one line for the user: each key, the complaint, and the value given."""
    problems = []
    for problem in error.errors():
        key = ".".join(str(part) for part in problem["loc"]) or "the whole"
        message = "no such key" if problem["type"] == "extra_forbidden" else problem["msg"]
        problems.append(f"{key}: {message} (given: {problem['input']!r})")
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
