"""The tile store: a slide at the working mpp as zarr chunks, each decoded the first time it is read."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pathopipe.errors import StoreError
from pathopipe.files import unwritable
from pathopipe.geometry import Box, Frame
from pathopipe.slide.base import Slide, SlideInfo
from pathopipe.stopwatch import timed
from pathopipe.store.chunks import WHITE, ChunkFiles
from pathopipe.store.layout import Layout, create
from pathopipe.store.locks import ChunkLocks
from pathopipe.store.spec import StoreSpec
from pathopipe.tiling.tissue import Tissue

_CACHED_PX = 2**24  # 50 MB, 64 chunks of 512 px: a tile's neighbours share its border chunks


@dataclass(frozen=True, slots=True)
class ChunkCount:
    """How much of what shall be read is there already."""

    needed: int
    """Chunks that the boxes touch."""
    stored: int
    """Of these, the chunks that need not be decoded."""


class TileStore:
    """The pixels of one slide in one frame, read through chunks that are decoded once and kept.

    Only what is read is stored. A chunk is whole or absent, and one that was damaged later is noticed by its checksum
    and decoded again. Without a path nothing is stored, and the pixels are the same: they come from the same calls of
    ``slide.read``. Safe with several threads, and with several processes that each open their own.
    """

    def __init__(self, path: Path | None, slide: Slide, frame: Frame, chunk_px: int) -> None:
        self.path = path
        """The folder ``tiles.zarr``, or None where pixels are not kept."""
        self.frame = frame
        """The frame of the working pixels."""
        self.decoded = 0
        """Chunks that this object decoded from the slide."""
        self.reused = 0
        """Chunks that this object read from the store."""
        self._slide = slide
        self._chunk_px = chunk_px
        self._files = None if path is None else ChunkFiles(path / "0", chunk_px)
        self._locks = ChunkLocks(None) if path is None else ChunkLocks.of(path / "0" / "fill.lock")
        self._cache: OrderedDict[tuple[int, int], NDArray[np.uint8]] = OrderedDict()
        self._guard = threading.Lock()

    @classmethod
    def open(cls, path: Path | None, slide: Slide, frame: Frame, spec: StoreSpec, tissue: Tissue | None = None) -> Self:
        """Open the store at ``path``, made if it is not there.

        Parameters
        ----------
        path : Path or None
            The folder ``tiles.zarr``; None stores nothing.
        slide : Slide
            Where missing chunks come from; :meth:`close` closes it.
        frame : Frame
            The slide at the model's mpp.
        spec : StoreSpec
            Settings.
        tissue : Tissue or None
            Its picture becomes the low-power level of a store that is made now.

        Raises
        ------
        StoreError
            If what is at ``path`` is of another slide, mpp, chunk size or format version, or no tile store.
        """
        if path is not None:
            wanted = Layout.of(slide.info, frame, spec.chunk_px)
            if not (path / "zarr.json").exists():
                picture = (None, None) if tissue is None else (tissue.thumbnail, tissue.frame)
                create(path, wanted, path.parent.name, *picture)
            Layout.load(path).check(path, wanted)
        return cls(path, slide, frame, spec.chunk_px)

    @classmethod
    def matches(cls, path: Path, info: SlideInfo, frame: Frame, spec: StoreSpec) -> bool:
        """Return whether :meth:`open` would take what is at ``path``; True where there is nothing."""
        if not path.exists():
            return True
        try:
            Layout.load(path).check(path, Layout.of(info, frame, spec.chunk_px))
        except StoreError:
            return False
        return True

    def close(self) -> None:
        """Release the slide and the lock file."""
        self._cache.clear()
        self._locks.close()
        self._slide.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def read(self, box: Box) -> NDArray[np.uint8]:
        """Return the pixels of ``box``.

        Parameters
        ----------
        box : Box
            In working pixels; may reach out of the frame, which is white there.

        Returns
        -------
        (h, w, 3) uint8
            RGB, a new array.

        Raises
        ------
        SlideError
            If the slide cannot be decoded there.
        StoreError
            If the decoded pixels cannot be stored.
        """
        out = np.empty((box.height, box.width, 3), np.uint8)
        if not self.frame.box.contains(box):
            out[:] = WHITE
        for row, col in self._touched(box):
            chunk = self._box(row, col)
            part = chunk.clipped(box)
            source = self._chunk(row, col)
            out[part.y0 - box.y0 : part.y1 - box.y0, part.x0 - box.x0 : part.x1 - box.x0] = source[
                part.y0 - chunk.y0 : part.y1 - chunk.y0, part.x0 - chunk.x0 : part.x1 - chunk.x0
            ]
        return out

    def count(self, boxes: Iterable[Box]) -> ChunkCount:
        """Return how many chunks the ``boxes`` (working pixels) need, and how many of them are stored."""
        needed = {each for box in boxes for each in self._touched(box)}
        if self._files is None:
            return ChunkCount(len(needed), 0)
        # One listing a row of chunks, not a question a chunk.
        stored = {(row, col) for row in {row for row, _ in needed} for col in self._files.columns(row)}
        return ChunkCount(len(needed), len(needed & stored))

    def _touched(self, box: Box) -> Iterator[tuple[int, int]]:
        """Yield row and column of the chunks that ``box`` meets."""
        inside = box.clipped(self.frame.box)
        if inside.area > 0:
            px = self._chunk_px
            for row in range(inside.y0 // px, (inside.y1 - 1) // px + 1):
                for col in range(inside.x0 // px, (inside.x1 - 1) // px + 1):
                    yield row, col

    def _box(self, row: int, col: int) -> Box:
        """Return the chunk's box in working pixels, cut at the frame."""
        px = self._chunk_px
        return Box(col * px, row * px, (col + 1) * px, (row + 1) * px).clipped(self.frame.box)

    def _chunk(self, row: int, col: int) -> NDArray[np.uint8]:
        """Return the chunk's pixels: from memory, from the store, or from the slide, in this order."""
        pixels = self._remembered(row, col)
        if pixels is None:
            pixels = self._load(row, col)
        if pixels is None:
            with self._locks.hold(row * -(-self.frame.width // self._chunk_px) + col):
                # Another may have filled it while this one waited.
                pixels = self._remembered(row, col)
                if pixels is None:
                    pixels = self._load(row, col)
                if pixels is None:
                    pixels = self._fill(row, col)
        return pixels

    def _remembered(self, row: int, col: int) -> NDArray[np.uint8] | None:
        with self._guard:
            pixels = self._cache.get((row, col))
            if pixels is not None:
                self._cache.move_to_end((row, col))
            return pixels

    def _remember(self, row: int, col: int, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        with self._guard:
            self._cache[row, col] = pixels
            while len(self._cache) > max(1, _CACHED_PX // self._chunk_px**2):
                self._cache.popitem(last=False)
        return pixels

    def _load(self, row: int, col: int) -> NDArray[np.uint8] | None:
        """Return a stored chunk; None where it is absent, or damaged: it is decoded again then, and replaced."""
        pixels = None if self._files is None else self._files.load(row, col)
        if pixels is None:
            return None
        with self._guard:
            self.reused += 1
        return self._remember(row, col, pixels)

    def _fill(self, row: int, col: int) -> NDArray[np.uint8]:
        """Decode a chunk from the slide and store it. The caller holds its lock."""
        box = self._box(row, col)
        with timed("decode"):
            pixels = self._slide.read(self.frame.to_level0(box), box.width, box.height)
        if self._files is not None:
            try:
                self._files.save(row, col, pixels)
            except OSError as error:
                raise unwritable(self.path or Path(), error) from error
        with self._guard:
            self.decoded += 1
        return self._remember(row, col, pixels)
