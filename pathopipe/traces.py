"""Tracebacks for logs that others may read."""

from __future__ import annotations

import traceback
from pathlib import Path

_CODE = f"{Path(__file__).resolve().parents[1]}/"


def trace_of(error: BaseException) -> str:
    """Return the traceback with the code's files as they lie in their packages: the rest may be a user's name."""
    shown = traceback.TracebackException.from_exception(error)
    chain: list[traceback.TracebackException | None] = [shown]
    while chain:
        link = chain.pop()
        if link is not None:
            for frame in link.stack:
                frame.filename = frame.filename.rpartition("-packages/")[2].removeprefix(_CODE)
            chain += [link.__cause__, link.__context__]
    return "".join(shown.format())
