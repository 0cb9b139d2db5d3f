"""A process that has imported the packages that pathopipe stands on, and copies itself for each command of a test.

To import them takes longer than most commands of the tests do. Each command is a process of its own all the same: it
imports pathopipe anew and runs and ends as ``python -m pathopipe`` does. Tests that kill or count processes, and those
of what is imported when, start Python itself.
"""

from __future__ import annotations

import array
import atexit
import gc
import json
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path

MODULES = (
    "cv2",
    "distributed",
    "jinja2",
    "openslide",
    "PIL.Image",
    "pydantic",
    "scipy.ndimage",
    "scipy.optimize",
    "scipy.stats",
    "shapely",
    "tifffile",
    "torch",
    "typer.rich_utils",
    "zarr",
)
"""What takes long to import and starts no thread (as Arrow does): a copy of a process has its first thread alone."""
_REQUEST_BYTES = 1 << 18
ROOT = Path(__file__).parents[2]


class PreparedProcess:
    """Runs ``python -m pathopipe`` with any arguments, one command at a time; begins with the first."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        atexit.register(self.close)

    def _begin(self, environment: Mapping[str, str]) -> None:
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._bytecode = tempfile.TemporaryDirectory()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.prepared", str(theirs.fileno()), self._bytecode.name],
                pass_fds=[theirs.fileno()],
                cwd=ROOT,
                env=environment,
                start_new_session=True,
            )

    def run(self, arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, and to that of all that holds its output, as ``subprocess.run`` does."""
        if self._process is None:
            self._begin(environment)
        request = json.dumps([str(Path.cwd()), dict(environment), list(arguments)]).encode()
        (out, to_out), (err, to_err) = os.pipe(), os.pipe()
        with (
            open(out, encoding="utf-8") as stdout,
            open(err, encoding="utf-8") as stderr,
            ThreadPoolExecutor(2) as threads,
        ):
            sent = array.array("i", (to_out, to_err))
            self._requests.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, sent)])
            for end in sent:
                os.close(end)
            try:
                told = list(threads.map(lambda file: file.read(), (stdout, stderr)))
                ended = int(self._requests.recv(64))
            except BaseException:  # the test took too long: the next one gets a new process
                self.close()
                raise
        return subprocess.CompletedProcess(arguments, ended, *told)

    def close(self) -> None:
        """End the process and what it has begun."""
        if self._process is None:
            return
        self._requests.close()
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._process = None
        self._bytecode.cleanup()


def _serve(requests: socket.socket) -> None:
    """Copy this process for each command, until nobody is there to ask; returns in the copies too, as ``pathopipe``."""
    while True:
        request, outputs, *_ = socket.recv_fds(requests, _REQUEST_BYTES, 2)
        if not request:
            raise SystemExit
        command = os.fork()
        if not command:
            requests.close()
            _become(*json.loads(request), outputs)
            return
        for output in outputs:
            os.close(output)
        ended = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
        requests.send(str(ended).encode())


def _become(folder: str, environment: dict[str, str], arguments: list[str], outputs: list[int]) -> None:
    """Have this copy be what Python is when it was started in ``folder`` with these."""
    for output, standard in zip(outputs, (1, 2), strict=True):
        os.dup2(output, standard)
        os.close(output)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.path[0] = folder
    sys.argv[1:] = arguments


def _end(code: int) -> None:
    """End this copy as Python does, but for taking apart all that was imported, which would take a second."""
    threading._shutdown()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    for module in MODULES:
        import_module(module)
    assert len([*Path("/proc/self/task").iterdir()]) == 1, "something that is imported has started a thread"
    if sys.dont_write_bytecode:  # copies keep theirs where it is in nobody's way, or each would compile pathopipe anew
        sys.pycache_prefix, sys.dont_write_bytecode = sys.argv[2], False
    gc.freeze()  # or every collection in a copy would look at, and so copy, all of it
    _serve(socket.socket(fileno=int(sys.argv[1])))
    try:
        runpy.run_module("pathopipe", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            raise
        _end(end.code or 0)
