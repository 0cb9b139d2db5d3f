"""How local workers start: as copies of one process that has imported what they need, and with Ctrl-C left to the run.

To import Dask, PyTorch and what reads slides takes three to four seconds of a core. Done once, by a process that Python
forks the workers from, it takes them once for all workers, and again for none that replaces another. That process
begins before the run itself imports anything, so that both are at it at once.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from threading import Thread, current_thread, main_thread
from typing import Literal

Method = Literal["forkserver", "spawn"]
METHOD: Method = "forkserver" if sys.platform == "linux" and sys.version_info >= (3, 11, 1) else "spawn"
"""How processes are made. Elsewhere a copy of a process that has loaded the system's own libraries may crash, and in
Python 3.11.0 other users of the machine could have had the process make copies (CVE-2022-42919)."""
MODULES = ("distributed", "pathopipe.engine.tasks", "pathopipe.models.predictor")
"""What workers need for tiles. Nothing that starts a thread, as Arrow does: a copy has none but the first."""
_ENVIRONMENT = {
    # As dask has it for the workers that it starts; libraries look when they are imported.
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "PYTHONHASHSEED": "6640",
    # glibc gives a thread a heap of its own, and its large blocks back to the system, whatever engine/heap.py says: a
    # worker's tasks are in a thread. To be said before there is one.
    "MALLOC_ARENA_MAX": "1",
    # The folder that the run is started in may hold anything, a random.py too.
    "PYTHONSAFEPATH": "1",
}


def import_ahead() -> Method:
    """Begin to import what local workers need, in a process of its own, if that is not done yet; return at once.

    The process ends with this one. Where it cannot import something, each worker does.

    Returns
    -------
    "forkserver" or "spawn"
        How workers are to be made: where there is no such process, each by itself.
    """
    if METHOD != "forkserver":
        return METHOD
    from multiprocessing import forkserver

    forkserver.set_forkserver_preload(list(MODULES))
    try:
        with _environment(_ENVIRONMENT), _without_ctrl_c():
            forkserver.ensure_running()
    except OSError:  # the path of its socket, in the folder for temporary files, may be longer than a system allows
        return "spawn"
    return "forkserver"


def dask_setup(_: object) -> None:
    """Ignore SIGINT in this worker and ready it for tiles; distributed calls it by this name, in the main thread.

    A terminal sends Ctrl-C to the run and to all of its workers; each worker would print a traceback of its own.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.freeze()  # what was imported stays, and to look at it takes a copy of memory that workers share
    # Beside the worker's start, which must not take longer for it; a tile that comes earlier waits for the import.
    Thread(target=_import, name="imports").start()


def _import() -> None:
    for name in MODULES:
        import_module(name)


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """Have ``values`` in the environment during the block, but for what is set there."""
    new = values.keys() - os.environ.keys()
    os.environ.update({name: values[name] for name in new})
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]


@contextmanager
def _without_ctrl_c() -> Iterator[None]:
    """Have processes that are started in the block ignore Ctrl-C: it comes to them as well, while they import."""
    if current_thread() is not main_thread():  # which alone may say what is done with signals
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
