"""What other processes do to a store in its tests; they are started anew, so this must be importable."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from pathopipe.geometry import Box
from pathopipe.store.spec import StoreSpec
from pathopipe.store.tiles import TileStore
from tests.support.slides import ArraySlide

SIZE = 700
CHUNK = 128


def pixels(size=SIZE):
    """Return (size, size, 3) noise on a gradient, the same in every process."""
    noise = np.random.default_rng(5).integers(0, 120, (size, size, 3), dtype=np.uint8)
    return noise + np.linspace(0, 135, size).astype(np.uint8)[:, None, None]


def open_noise(path: Path | None, **how) -> TileStore:
    """Open the store of :func:`pixels` at 0.5 µm per pixel."""
    slide = ArraySlide(pixels(), 0.5, **how)
    return TileStore.open(path, slide, slide.info.frame(0.5), StoreSpec(chunk_px=CHUNK))


def hammer(path: Path, log: Path, seed: int, start, threads: int = 1) -> None:
    """Read all of the slide in boxes of a random order, in several threads of one store; fails on a wrong pixel."""
    reference = pixels()
    with open_noise(path, log=log, delay=0.01) as store:
        start.wait()
        wrong: list[Box] = []

        def work(rng) -> None:
            boxes = [Box(x, y, x + 150, y + 150) for y in range(0, SIZE, 100) for x in range(0, SIZE, 100)]
            for index in rng.permutation(len(boxes)):
                box = boxes[index]
                part = box.clipped(store.frame.box)
                read = store.read(box)[: part.height, : part.width]
                if not np.array_equal(read, reference[part.y0 : part.y1, part.x0 : part.x1]):
                    wrong.append(box)

        workers = [
            threading.Thread(target=work, args=(np.random.default_rng((seed, each)),)) for each in range(threads)
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    if wrong:
        raise SystemExit(f"wrong pixels in {wrong}")


def fill_until_killed(path: Path, started) -> None:
    """Fill the store again and again, emptying it in between; never ends."""
    with open_noise(path) as store:
        while True:
            store.read(store.frame.box)
            started.set()
            for chunk in (path / "0" / "c" / "0").glob("*/*"):
                chunk.unlink(missing_ok=True)
            store._cache.clear()


def hold_forever(path: Path, index: int, held) -> None:
    """Take the lock of one chunk and keep it; never ends."""
    with open_noise(path) as store, store._locks.hold(index):
        held.set()
        threading.Event().wait()
