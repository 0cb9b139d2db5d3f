"""Loaded by every Python process of a test that puts this folder on PYTHONPATH: it writes down what must not happen.

Into the file ``PATHOPIPE_GUARD_LOG`` goes a line for every connection, message or name look-up that leaves this
machine, which fails, and for every look at a slide's label, macro or other associated picture.
"""

from __future__ import annotations

import functools
import os
import socket

_LOG = os.environ["PATHOPIPE_GUARD_LOG"]


def _note(text: str) -> None:
    with open(_LOG, "a", encoding="utf-8") as file:
        file.write(text + "\n")


def _is_here(address: object) -> bool:
    if not isinstance(address, tuple):
        return True  # a socket in the file system
    host = str(address[0] or "localhost")
    return host.startswith(("127.", "::1", "localhost", "0.0.0.0")) or host in ("::", socket.gethostname())


def _guarded(name: str) -> None:
    original = getattr(socket.socket, name)

    @functools.wraps(original)
    def guarded(self: socket.socket, *arguments: object) -> object:
        # A datagram socket sends nothing when it connects: distributed asks it for this machine's address.
        silent = name.startswith("connect") and self.type == socket.SOCK_DGRAM
        if not silent and not _is_here(arguments[-1]):
            _note(f"{name} {arguments[-1]}")
            raise OSError("no network in this test")
        return original(self, *arguments)

    setattr(socket.socket, name, guarded)


for _name in ("connect", "connect_ex", "sendto"):
    _guarded(_name)

_look_up = socket.getaddrinfo


def _looked_up(host: object, *arguments: object, **named: object) -> object:
    text = host.decode() if isinstance(host, bytes) else str(host or "localhost")
    if not _is_here((text,)) and not text.replace(".", "").isdigit():
        _note(f"look up {text}")
        raise OSError("no network in this test")
    return _look_up(host, *arguments, **named)


socket.getaddrinfo = _looked_up

if os.environ.get("PATHOPIPE_GUARD_LABELS"):
    import openslide
    import openslide.lowlevel
    import tiffslide

    def _forbidden(what: str) -> object:
        def touched(*_: object) -> object:
            _note(what)
            raise AssertionError(what)

        return touched

    openslide.lowlevel.read_associated_image = _forbidden("read_associated_image")
    openslide.OpenSlide.associated_images = property(_forbidden("OpenSlide.associated_images"))
    tiffslide.TiffSlide.associated_images = property(_forbidden("TiffSlide.associated_images"))
