"""Hosts with a network of their own on this machine: namespaces joined by a bridge, for root on Linux."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BRIDGE = "10.77.231.1"
"""Address of this machine among them."""


def possible() -> bool:
    """Whether namespaces can be made here."""
    if os.geteuid() != 0 or not shutil.which("ip"):
        return False
    name = f"pp-try-{os.getpid()}"
    if subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False).returncode:
        return False
    subprocess.run(["ip", "netns", "delete", name], check=True)
    return True


@contextmanager
def hosts(number: int) -> Iterator[list[tuple[str, ...]]]:
    """Make ``number`` hosts, and yield what to put before a command to run it on each; they reach :data:`BRIDGE`."""
    _remove_left_over()
    mark = os.getpid() % 100_000
    bridge, names = f"ppb{mark}", [f"pp{mark}-{index}" for index in range(number)]
    _ip("link", "add", bridge, "type", "bridge")
    try:
        _ip("address", "add", f"{BRIDGE}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for index, name in enumerate(names):
            _ip("netns", "add", name)
            _ip("link", "add", f"ppv{mark}-{index}", "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", f"ppv{mark}-{index}", "master", bridge, "up")
            _ip("-n", name, "address", "add", f"10.77.231.{index + 2}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")
        yield [("ip", "netns", "exec", name) for name in names]
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
        _ip("link", "delete", bridge)


def _remove_left_over() -> None:
    """Remove what processes made that were killed: a second bridge of the same address would take its answers."""
    for path in Path("/sys/class/net").glob("ppb*"):
        mark = path.name.removeprefix("ppb")
        if not Path("/proc", mark).exists():
            for name in Path("/run/netns").glob(f"pp{mark}-*"):
                subprocess.run(["ip", "netns", "delete", name.name], capture_output=True, check=False)
            subprocess.run(["ip", "link", "delete", path.name], capture_output=True, check=False)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
