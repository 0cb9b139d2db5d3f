"""What a local worker loads as it starts: Ctrl-C is left to the run, which ends its workers when its own work is safe.

A terminal sends Ctrl-C to the run and to all of its workers; each worker would print a traceback of its own.
"""

from __future__ import annotations

import signal


def dask_setup(_: object) -> None:
    """Ignore SIGINT in this worker; distributed calls it by this name, in the worker's main thread."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
