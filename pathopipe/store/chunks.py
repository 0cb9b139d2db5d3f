"""The chunk files of one level of ``tiles.zarr``.

They are what zarr itself would write and read for the codecs of :func:`array_metadata`, byte for byte; going through
zarr's arrays costs several times the processor time (docs/adr/0009). So a file is interleaved RGB, zstd, and a CRC-32C
of what zstd made of it.

A file is whole or absent to all who look while the machine runs: it is written beside its place and renamed. It is not
forced to disk, which would take longer than to decode it again: what a power cut leaves of it fails its checksum.
"""

from __future__ import annotations

import os
import uuid
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numcodecs import zstd
from numpy.typing import NDArray

WHITE = 255
"""What is outside the slide, and of chunks that nobody has read."""
PARTIAL = ".partial"
"""How the names of unfinished files end."""
_LEVEL = -5  # half the time of level 1 to write and to read, for a tenth more bytes (docs/adr/0009)
_CRC_BYTES = 4


def array_metadata(height: int, width: int, chunk_px: int) -> dict[str, Any]:
    """Return the ``zarr.json`` of a level of ``height`` × ``width`` pixels (zarr v3, axes c, y, x)."""
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [3, height, width],
        "data_type": "uint8",
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [3, chunk_px, chunk_px]}},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": WHITE,
        "codecs": [
            {"name": "transpose", "configuration": {"order": [1, 2, 0]}},
            {"name": "bytes"},
            {"name": "zstd", "configuration": {"level": _LEVEL, "checksum": False}},
            {"name": "crc32c"},
        ],
        "dimension_names": ["c", "y", "x"],
        "attributes": {},
        "storage_transformers": [],
    }


class ChunkFiles:
    """The chunks of the level in ``folder``, each a file. Safe with any number of threads and processes."""

    def __init__(self, folder: Path, chunk_px: int) -> None:
        self._rows = os.fspath(folder / "c" / "0")  # zarr names a chunk c/<channel>/<y>/<x>; all channels are in one
        self._chunk_px = chunk_px

    def load(self, row: int, col: int) -> NDArray[np.uint8] | None:
        """Return the chunk's pixels (chunk_px, chunk_px, 3), read-only; None where it is absent or damaged."""
        try:
            with open(self._path(row, col), "rb", buffering=0) as file:
                stored = np.frombuffer(file.read(), np.uint8)
            packed = stored[:-_CRC_BYTES]
            if google_crc32c.value(packed) != int.from_bytes(stored[-_CRC_BYTES:].tobytes(), "little"):
                return None
            pixels = np.frombuffer(zstd.decompress(packed), np.uint8)
            return pixels.reshape(self._chunk_px, self._chunk_px, 3)
        except (OSError, ValueError, RuntimeError):
            return None  # no such file; unreadable; no zstd, or of other pixels than a chunk's

    def save(self, row: int, col: int, pixels: NDArray[np.uint8]) -> None:
        """Write the chunk whole or not at all; ``pixels`` (h, w, 3) are its top left, the rest of it is white.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        px = self._chunk_px
        if pixels.shape != (px, px, 3):
            whole = np.full((px, px, 3), WHITE, np.uint8)
            whole[: pixels.shape[0], : pixels.shape[1]] = pixels
            pixels = whole
        packed = zstd.compress(np.ascontiguousarray(pixels), _LEVEL)
        path = self._path(row, col)
        # Not the process id: where machines share a folder without locks, two may have the same.
        part = f"{path}.{uuid.uuid4().hex}{PARTIAL}"
        try:
            try:
                file = open(part, "xb")  # noqa: SIM115 (closed by the block below)
            except FileNotFoundError:
                os.makedirs(os.path.dirname(path), exist_ok=True)  # noqa: PTH103, PTH120 (a Path costs more than this)
                file = open(part, "xb")  # noqa: SIM115
            with file:
                file.write(packed)
                file.write(google_crc32c.value(packed).to_bytes(_CRC_BYTES, "little"))
            os.replace(part, path)
        except OSError:
            Path(part).unlink(missing_ok=True)
            raise

    def columns(self, row: int) -> list[int]:
        """Return the columns of the row's stored chunks, by one listing; a damaged one counts."""
        try:
            return [int(name) for name in os.listdir(f"{self._rows}/{row}") if name.isdecimal()]  # noqa: PTH208
        except FileNotFoundError:
            return []

    def _path(self, row: int, col: int) -> str:
        return f"{self._rows}/{row}/{col}"
