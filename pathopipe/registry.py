"""Extension by entry points: readers, models and scores of other packages come in by the same door as ours.

Groups: ``pathopipe.readers``, ``pathopipe.models``, ``pathopipe.scores``. See docs/extending.md.
"""

from __future__ import annotations

from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Literal

from pathopipe.errors import ConfigError

Group = Literal["pathopipe.readers", "pathopipe.models", "pathopipe.scores"]


@cache
def _found(group: Group) -> dict[str, EntryPoint]:
    return {point.name: point for point in sorted(entry_points(group=group), key=lambda point: point.name)}


def names(group: Group) -> tuple[str, ...]:
    """Return the names registered in ``group``, sorted."""
    return tuple(_found(group))


def load(group: Group, name: str) -> Any:
    """Import and return what ``name`` stands for in ``group``.

    Raises
    ------
    ConfigError
        If nothing of that name is registered; the message lists what is.
    """
    try:
        point = _found(group)[name]
    except KeyError:
        kind = group.rpartition(".")[2].rstrip("s")
        raise ConfigError(f"no {kind} named {name!r}; there are: {', '.join(names(group)) or 'none'}") from None
    return point.load()
