"""Drawing a whole slide: blocks in order, by one process or several, into one file in flat memory."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pathopipe.errors import ConfigError
from pathopipe.synth.anatomy import coarse_px
from pathopipe.synth.block import Block, draw_block
from pathopipe.synth.defects import defects_of
from pathopipe.synth.nuclei import Nuclei
from pathopipe.synth.pyramid import LevelSpool, Mosaic, averaged, encoded, write_slide
from pathopipe.synth.spec import BLOCK_PX, TILE_PX, SynthResult, SynthSpec
from pathopipe.synth.stain import stain_of
from pathopipe.synth.truth import TruthWriter, truth_path

APERIO, GENERIC = (".svs",), (".tif", ".tiff")
QUEUED_PER_WORKER = 3
"""Blocks drawn ahead: enough that no process waits, few enough that memory stays flat."""


def draw_slide(
    out: Path, spec: SynthSpec, progress: Callable[[int, int], None] | None = None, workers: int = 1
) -> SynthResult:
    """Draw a slide and its truth; both appear whole or not at all.

    Parameters
    ----------
    out : Path
        The slide: ``.svs`` gives an Aperio-style file, ``.tif`` or ``.tiff`` a generic tiled TIFF. An existing file is
        replaced. The truth lies beside it (see :func:`pathopipe.synth.truth.truth_path`).
    spec : SynthSpec
        What is drawn.
    progress : callable, optional
        Told (blocks done, blocks in all) after every block.
    workers : int
        Processes that draw; the bytes are the same whatever their number.

    Raises
    ------
    ConfigError
        If the name ends otherwise, the folder is not there, or the disk has too little room.
    """
    out = Path(out)
    _check(out, spec)
    slide, truth = (path.with_name(f"{path.name}.{os.getpid()}.tmp") for path in (out, truth_path(out)))
    try:
        with ExitStack() as stack:
            stack.enter_context(_one_thread())
            writer = stack.enter_context(TruthWriter(truth, spec))
            levels = [LevelSpool(spec, downsample, out.parent) for downsample in spec.levels[1:]]
            for level in levels:
                stack.callback(level.close)
            drawing = _Drawing(spec, levels, Mosaic(spec), writer, progress)
            tiles = drawing.tiles(_drawn(spec, workers))
            write_slide(slide, spec, out.suffix.lower() in APERIO, tiles, levels, drawing.thumbnail)
            writer.add_tissue(drawing.tissue.pixels[..., 0] > 127, drawing.tissue.downsample)
            writer.add_defects(defects_of(spec))
        os.replace(truth, truth_path(out))
        os.replace(slide, out)
    finally:
        slide.unlink(missing_ok=True)
        truth.unlink(missing_ok=True)
    return SynthResult(out, truth_path(out), writer.nuclei, drawing.tissue_px * spec.mpp**2 / 1e6)


def _check(out: Path, spec: SynthSpec) -> None:
    """Refuse what cannot be drawn before anything is."""
    if out.suffix.lower() not in APERIO + GENERIC:
        raise ConfigError(f"{out}: a drawn slide is named .svs (Aperio-style) or .tif or .tiff (generic tiled TIFF)")
    if not out.parent.is_dir():
        raise ConfigError(f"{out}: there is no folder {out.parent}; make it first")
    # Measured at quality 85: 0.24 bytes per pixel of tissue with all levels, 0.06 for its truth.
    per_px = 0.32 if spec.jpeg_quality <= 90 else 1.2
    needed = int(spec.width * spec.height * (per_px * spec.tissue_fraction + 0.02) * 1.2) + 10_000_000
    free = shutil.disk_usage(out.parent).free
    if needed > free:
        raise ConfigError(
            f"{out}: a slide of {spec.width} × {spec.height} px needs about {needed / 1e9:.1f} GB, and the disk has "
            f"{free / 1e9:.1f} GB free; draw a smaller one or elsewhere"
        )


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep OpenCV to one thread while a slide is drawn: processes are the unit of work here."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@dataclass(frozen=True)
class _Piece:
    """What a process hands back for one block."""

    tiles: tuple[tuple[bytes, ...], ...]
    """Level 0's tiles inside the slide, by row."""
    averages: dict[int, NDArray[np.uint8]]
    """Downsample to pixels."""
    nuclei: Nuclei | None
    tissue: NDArray[np.uint8]
    """(h, w, 1) of 0 or 255 at the thumbnail's resolution."""
    tissue_px: int
    """Level-0 pixels of tissue inside the slide."""


@lru_cache(maxsize=2)
def _glass_tile(spec: SynthSpec) -> bytes:
    tile = np.empty((TILE_PX, TILE_PX, 3), np.uint8)
    tile[:] = stain_of(spec).glass
    return encoded(tile, spec.jpeg_quality)


def _piece(spec: SynthSpec, downsamples: tuple[int, ...], mosaic: int, row: int, col: int) -> _Piece:
    """Draw and encode one block; runs in a worker process."""
    block = draw_block(spec, row, col)
    empty = block.nuclei is None
    step = coarse_px(spec)
    shown = block.tissue[: -(-(spec.height - row * BLOCK_PX) // step), : -(-(spec.width - col * BLOCK_PX) // step)]
    side = BLOCK_PX // mosaic
    tissue = cv2.resize(block.tissue.astype(np.uint8) * 255, (side, side), interpolation=cv2.INTER_AREA)
    averages = {
        # Glass is of one colour: any part of it is its own average.
        downsample: block.rgb[: BLOCK_PX // downsample, : BLOCK_PX // downsample]
        if empty
        else averaged(block.rgb, downsample)
        for downsample in downsamples
    }
    return _Piece(
        tiles=_tiles(block, spec),
        averages=averages,
        nuclei=block.own_nuclei(),
        tissue=np.asarray(tissue[..., None], np.uint8),
        tissue_px=int(shown.sum()) * step**2,
    )


def _tiles(block: Block, spec: SynthSpec) -> tuple[tuple[bytes, ...], ...]:
    """Return the encoded tiles of ``block`` that lie inside the slide, by row; empty ones are encoded once."""
    glass = stain_of(spec).glass
    lines = []
    for y in range(0, min(BLOCK_PX, spec.height - block.box.y0), TILE_PX):
        line = []
        for x in range(0, min(BLOCK_PX, spec.width - block.box.x0), TILE_PX):
            tile = np.ascontiguousarray(block.rgb[y : y + TILE_PX, x : x + TILE_PX])
            empty = block.nuclei is None or bool((tile == glass).all())
            line.append(_glass_tile(spec) if empty else encoded(tile, spec.jpeg_quality))
        lines.append(tuple(line))
    return tuple(lines)


def _blocks(spec: SynthSpec) -> tuple[int, int]:
    """Return rows and columns of blocks."""
    return -(-spec.height // BLOCK_PX), -(-spec.width // BLOCK_PX)


def _drawn(spec: SynthSpec, workers: int) -> Iterator[_Piece]:
    """Yield every block's piece, row by row."""
    rows, cols = _blocks(spec)
    mosaic = Mosaic(spec).downsample
    downsamples = tuple(sorted({*spec.levels[1:], mosaic}))
    places = ((row, col) for row in range(rows) for col in range(cols))
    if workers <= 1:
        for row, col in places:
            yield _piece(spec, downsamples, mosaic, row, col)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        ahead: deque[Future[_Piece]] = deque()
        try:
            for row, col in places:
                ahead.append(pool.submit(_piece, spec, downsamples, mosaic, row, col))
                if len(ahead) >= workers * QUEUED_PER_WORKER:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for future in ahead:
                future.cancel()


class _Drawing:
    """Takes the pieces in and gives level 0's tiles out in the file's order."""

    def __init__(
        self,
        spec: SynthSpec,
        levels: list[LevelSpool],
        thumbnail: Mosaic,
        truth: TruthWriter,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        self.thumbnail = thumbnail
        self.tissue = Mosaic(spec, channels=1)
        self.tissue_px = 0
        self._spec, self._levels, self._truth, self._progress = spec, levels, truth, progress

    def tiles(self, pieces: Iterator[_Piece]) -> Iterator[bytes]:
        """Yield the tiles of level 0; a row of blocks is held encoded."""
        rows, cols = _blocks(self._spec)
        for row in range(rows):
            lines: list[list[bytes]] = [[] for _ in range(BLOCK_PX // TILE_PX)]
            for col in range(cols):
                piece = next(pieces)
                self._take(row, col, piece)
                for line, tiles in zip(lines, piece.tiles, strict=False):
                    line.extend(tiles)
                if self._progress is not None:
                    self._progress(row * cols + col + 1, rows * cols)
            for level in self._levels:
                level.end_row(row, last=row == rows - 1)
            for line in lines:
                yield from line

    def _take(self, row: int, col: int, piece: _Piece) -> None:
        for level in self._levels:
            level.put(row, col, piece.averages[level.downsample])
        self.thumbnail.put(row, col, piece.averages[self.thumbnail.downsample])
        self.tissue.put(row, col, piece.tissue)
        self.tissue_px += piece.tissue_px
        if piece.nuclei is not None and len(piece.nuclei):
            self._truth.add(piece.nuclei)
