"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from pathopipe.errors import OutputDiskError, StoreError

_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO}
"""What no other slide would fare better with."""


_CURE = {
    errno.ENOSPC: "; make room, or keep no pixels: --set store.keep=false",
    errno.EDQUOT: "; raise the quota, or keep no pixels: --set store.keep=false",
    errno.EROFS: "; use another --out",
}


def is_disks(error: OSError) -> bool:
    """Return whether ``error`` says that the disk is full, read-only or broken."""
    return isinstance(error, OutputDiskError) or error.errno in _DISK


def unwritable(path: Path, error: OSError) -> StoreError:
    """Return what to raise where ``path`` could not be written: an OutputDiskError where that is the disk's fault."""
    kind = OutputDiskError if is_disks(error) else StoreError
    return kind(f"{path} cannot be written: {error.strerror or error}{_CURE.get(error.errno or 0, '')}")


@contextmanager
def atomic_file(path: Path, *, lasting: bool = True) -> Iterator[BinaryIO]:
    """Open ``path`` for writing such that a reader sees the old file or the new one, never a half.

    The bytes go to a temporary name in the same folder (``*.tmp``), reach the disk, and get their name only if the
    block ends without an error; else the temporary file is removed and what was there stays. What is not ``lasting``
    is of no use to another run, and need not have reached the disk.

    Raises
    ------
    OutputDiskError
        If the disk is full, read-only or broken.
    """
    # Not the process id alone: in containers on several machines all are called 1.
    part = path.with_name(f"{path.name}.{os.getpid()}-{secrets.token_hex(4)}.tmp")
    try:
        with open(part, "wb") as file:
            yield file
            file.flush()
            if lasting:
                os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        if error.errno in _DISK:
            raise unwritable(path, error) from error
        raise
    finally:
        with suppress(OSError):  # gone by now but after an error
            part.unlink()


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Make the folder ``path`` (``*.tmp``) for the block, and remove it with all in it.

    Raises
    ------
    StoreError
        If it cannot be made: an OutputDiskError where that is the disk's fault.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(path, error) from error
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def clear_temporary(folder: Path) -> None:
    """Remove what killed processes were writing into ``folder``, where no other writes now."""
    for part in folder.glob("*.tmp"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Let the names in ``folder`` reach the disk: what is written afterwards cannot outlive them in a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems know no such thing
            raise
    finally:
        os.close(handle)


def seal(path: Path) -> dict[str, Any]:
    """Return what the file at ``path`` is known by later: its size, the time of its last change, and its SHA-256."""
    with open(path, "rb") as file:
        now = os.fstat(file.fileno())
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": now.st_size, "changed_ns": now.st_mtime_ns, "sha256": digest}


def holds_seal(path: Path, known: Mapping[str, Any] | None) -> bool:
    """Return whether the file at ``path`` is the one that :func:`seal` saw, or has the same bytes.

    It is read only if its time differs, as that of a copy does.
    """
    try:
        now = path.stat()
        if known is None or not path.is_file() or now.st_size != known.get("bytes"):
            return False
        return now.st_mtime_ns == known.get("changed_ns") or seal(path)["sha256"] == known.get("sha256")
    except OSError:
        return False


def write_text(path: Path, text: str) -> None:
    """Write ``text`` to ``path`` as UTF-8, atomically."""
    with atomic_file(path) as file:
        # File names may hold bytes that are no text; as "\\udc80" they come back whole from JSON.
        file.write(text.encode("utf-8", "backslashreplace"))


def write_json(path: Path, values: Mapping[str, Any]) -> None:
    """Write ``values`` as indented JSON, atomically, keys in the order given."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> dict[str, Any] | None:
    """Return the JSON object in ``path``, or None where there is none: missing, cut off, or something else."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return values if isinstance(values, dict) else None
