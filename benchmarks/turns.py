"""Ways to do the same that take turns, so that what else the machine does meets all of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


def least(ways: Mapping[str, Callable[[], object]], rounds: int, uncounted: int = 0) -> dict[str, float]:
    """Return the least CPU seconds of each of ``ways`` in ``rounds`` turns; as many as ``uncounted`` go before them."""
    seconds = dict.fromkeys(ways, float("inf"))
    for index in range(uncounted + rounds):
        for name, way in ways.items():
            began = time.process_time()
            way()
            if index >= uncounted:
                seconds[name] = min(seconds[name], time.process_time() - began)
    return seconds
