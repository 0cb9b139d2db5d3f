"""All scores of a slide."""

from __future__ import annotations

from pathopipe import registry
from pathopipe.errors import ConfigError
from pathopipe.scores.base import Score, ScoreContext, ScoreFunction


def compute_scores(context: ScoreContext) -> tuple[Score, ...]:
    """Return what every registered score function computes, functions in the order of their names.

    Raises
    ------
    ConfigError
        If two functions give a score of the same name.
    """
    scores: dict[str, Score] = {}
    origin: dict[str, str] = {}
    for name in registry.names("pathopipe.scores"):
        function: ScoreFunction = registry.load("pathopipe.scores", name)
        for score in function(context):
            if score.name in scores:
                raise ConfigError(
                    f"the score functions {origin[score.name]!r} and {name!r} both give {score.name!r}; "
                    "uninstall the package of one of them"
                )
            scores[score.name], origin[score.name] = score, name
    return tuple(scores.values())
