"""What a local worker does as it starts: it leaves Ctrl-C to the run, and imports what tiles need.

A terminal sends Ctrl-C to the run and to all of its workers; each worker would print a traceback of its own. And while
the run looks for tissue, a worker would be idle: importing PyTorch takes it a second or two of its time.
"""

from __future__ import annotations

import signal
from importlib import import_module
from threading import Thread


def dask_setup(_: object) -> None:
    """Ignore SIGINT in this worker; distributed calls it by this name, in the worker's main thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Beside the worker's start, which must not take longer for it; a tile that comes earlier waits for the import.
    Thread(target=_import, name="imports").start()


def _import() -> None:
    for name in ("pathopipe.engine.tasks", "pathopipe.models.predictor"):
        import_module(name)
