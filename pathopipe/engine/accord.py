"""What all workers of a run compute in, where they could compute in different ways."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pathopipe.errors import ClusterError
from pathopipe.models.arithmetic import Arithmetic

_MOST = 3
"""Workers that a message names."""
_CURES: dict[Arithmetic, str] = {"int8": "--set model.int8=off", "bf16": "--set model.bf16=off"}


def agreed(offers: Mapping[str, Sequence[Arithmetic]]) -> tuple[Arithmetic, ...]:
    """Return what all workers can compute in, the fastest first.

    Parameters
    ----------
    offers : mapping
        By worker, what it can compute in, the fastest first.

    Raises
    ------
    ClusterError
        If there is nothing: some work on a GPU, and some have none.
    """
    if not offers:
        return ()
    first = next(iter(offers.values()))
    common = tuple(word for word in first if all(word in words for words in offers.values()))
    if not common:
        raise ClusterError(
            f"workers compute in different ways, and their cells must not be mixed ({_told(_fastest(offers))}): give "
            "--device cpu to have all compute on processors, or a cluster file with gpu: true to use GPUs alone"
        )
    return common


def slowed(offers: Mapping[str, Sequence[Arithmetic]]) -> str | None:
    """Return what is to be told where some workers compute more slowly than they could, for the sake of others."""
    common, ways = agreed(offers), _fastest(offers)
    if set(ways) <= set(common[:1]):
        return None
    return (
        f"workers compute fastest in different ways, and their cells must not be mixed ({_told(ways)}): all compute in "
        f"{common[0]}; workers of one kind would be faster"
    )


def cure(arithmetic: Arithmetic) -> str:
    """Return what to do where a worker cannot compute in ``arithmetic``."""
    if arithmetic in _CURES:
        return f"give {_CURES[arithmetic]} for the sake of such processors, or start workers of one kind"
    return "start it where there is a GPU, or give --device cpu"


def _fastest(offers: Mapping[str, Sequence[Arithmetic]]) -> dict[Arithmetic, list[str]]:
    """Return by what is fastest on some workers which they are."""
    words = sorted({words[0] for words in offers.values()})
    return {word: sorted(name for name, words in offers.items() if words[0] == word) for word in words}


def _told(ways: Mapping[Arithmetic, Sequence[str]]) -> str:
    """Return for each way some of the workers that it is the fastest of."""
    return "; ".join(
        f"{word} on {', '.join(names[:_MOST])}" + (f" and {len(names) - _MOST} more" if len(names) > _MOST else "")
        for word, names in ways.items()
    )
