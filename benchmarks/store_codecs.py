"""Ways to keep a chunk of the tile store: codecs, sides, checksums, forcing to disk, zarr's own path (docs/adr/0009).

    python benchmarks/store_codecs.py [--folder DIR] [--quick] [--slide FILE] [--mpp X]

On a drawn slide, or on yours. CPU milliseconds of one thread a megapixel, and bytes a pixel; the least of several
rounds counts, in which the ways take turns. The time of forcing to disk is by the clock.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import google_crc32c
import imagecodecs
import numpy as np
import simplejpeg
import zarr
from decode import TILE, raw
from drawn import drawn_slide
from numcodecs import blosc, lz4, zstd
from rows import Row, main
from turns import least
from zarr.codecs import Crc32cCodec, TransposeCodec, ZstdCodec

from pathopipe.geometry import Box
from pathopipe.slide.open import open_slide
from pathopipe.store.chunks import ChunkFiles

SIDE, QUICK_SIDE = 4096, 2048
"""Of the pixels that are kept."""
CHUNK = 512
ROUNDS = 4

Pixels = np.ndarray


@dataclass(frozen=True)
class Way:
    """A codec without loss."""

    name: str
    encode: Callable[[Pixels], bytes]
    decode: Callable[[bytes], object]


def rows(given: argparse.Namespace) -> Iterator[Row]:
    cv2.setNumThreads(1)
    blosc.use_threads = False
    side = QUICK_SIDE if given.quick else SIDE
    slide = given.slide or drawn_slide(given.folder, 2 * side, 0.9)
    with open_slide(slide) as opened:
        frame = opened.info.frame(given.mpp)
        width, height = (min(each, side) // 1024 * 1024 for each in (frame.width, frame.height))
        pixels = opened.read(frame.to_level0(Box(0, 0, width, height)), width, height)
    yield from codecs(pixels)
    yield from checksums(pixels)
    yield from paths(pixels, given.folder / "paths")
    yield from forced_to_disk(pixels, given.folder / "forced")
    yield from copied_jpeg(slide)


def chunks_of(pixels: Pixels, side: int) -> list[Pixels]:
    height, width = pixels.shape[:2]
    corners = [(y, x) for y in range(0, height, side) for x in range(0, width, side)]
    return [np.ascontiguousarray(pixels[y : y + side, x : x + side]) for y, x in corners]


def codecs(pixels: Pixels) -> Iterator[Row]:
    """Yield a row a codec: what writing and reading takes, and the size."""
    chunks, megapixels = chunks_of(pixels, CHUNK), pixels.shape[0] * pixels.shape[1] / 1e6
    ways = lossless()
    stored = {way.name: [way.encode(chunk) for chunk in chunks] for way in ways}
    for way in ways:
        back = np.frombuffer(way.decode(stored[way.name][0]), np.uint8)
        assert np.array_equal(back, chunks[0].ravel()), way.name
    coded = least({way.name: (lambda way=way: [way.encode(chunk) for chunk in chunks]) for way in ways}, ROUNDS)
    back = least({way.name: (lambda way=way: [way.decode(data) for data in stored[way.name]]) for way in ways}, ROUNDS)
    for way in ways:
        size = sum(map(len, stored[way.name])) / megapixels / 1e6
        read = f"read back: {back[way.name] / megapixels * 1e3:.2f}"
        yield Row(
            f"codec {way.name}: encode", coded[way.name] / megapixels * 1e3, "ms/MP", read, note=f"{size:.2f} B/px"
        )


def lossless() -> list[Way]:
    return [
        Way("none", lambda chunk: chunk.tobytes(), lambda data: np.frombuffer(data, np.uint8).copy()),
        *(Way(f"zstd {level}", partial(zstd.compress, level=level), zstd.decompress) for level in (-20, -5, -1, 1, 3)),
        Way("lz4", lz4.compress, lz4.decompress),
        Way("blosc with lz4", partial(blosc_1, "lz4", blosc.NOSHUFFLE), blosc.decompress),
        Way("blosc with lz4 and bitshuffle", partial(blosc_1, "lz4", blosc.BITSHUFFLE), blosc.decompress),
        Way("blosc with zstd and bitshuffle", partial(blosc_1, "zstd", blosc.BITSHUFFLE), blosc.decompress),
        Way("differences and zstd 1, by plane", differences, summed),
        Way(
            "PNG (no codec of zarr's)",
            lambda chunk: imagecodecs.png_encode(chunk, 1),
            lambda data: imagecodecs.png_decode(data).ravel(),
        ),
        Way(
            "JPEG XL without loss (no codec of zarr's)",
            lambda chunk: imagecodecs.jpegxl_encode(chunk, lossless=True, effort=1, numthreads=1),
            lambda data: imagecodecs.jpegxl_decode(data, numthreads=1).ravel(),
        ),
    ]


def blosc_1(inner: str, shuffle: int, chunk: Pixels) -> bytes:
    return blosc.compress(chunk.ravel(), inner.encode(), 1, shuffle)


def differences(chunk: Pixels) -> bytes:
    planes = np.stack(cv2.split(chunk))
    planes[:, :, 1:] -= planes[:, :, :-1].copy()
    return zstd.compress(planes, 1)


def summed(data: bytes) -> Pixels:
    planes = np.frombuffer(zstd.decompress(data), np.uint8).reshape(3, CHUNK, CHUNK)
    return cv2.merge(list(np.cumsum(planes, axis=2, dtype=np.uint8))).ravel()


def checksums(pixels: Pixels) -> Iterator[Row]:
    packed = [zstd.compress(chunk, -5) for chunk in chunks_of(pixels, CHUNK)]
    for name, way in (("CRC-32C", google_crc32c.value), ("zlib's CRC-32", zlib.crc32)):
        took = least({"": lambda way=way: [way(data) for data in packed]}, ROUNDS)[""]
        yield Row(f"checksum {name}", took / pixels.shape[0] / pixels.shape[1] * 1e9, "ms/MP")


def paths(pixels: Pixels, folder: Path) -> Iterator[Row]:
    """Yield what writing and reading chunks through zarr costs against chunk files, for some sides."""
    megapixels = pixels.shape[0] * pixels.shape[1] / 1e6
    for side in (256, 512, 1024):
        for name, took in paths_of(pixels, folder, side).items():
            told, _, other = name.partition(" ")
            own = took["files"] / megapixels * 1e3
            zarrs = took["zarr"] / megapixels * 1e3
            what = f"{told} chunks of {side} px as files"
            yield Row(what, own, "ms/MP", f"through zarr{other}: {zarrs:.2f}", zarrs / own)
        shutil.rmtree(folder)


def paths_of(pixels: Pixels, folder: Path, side: int) -> dict[str, dict[str, float]]:
    corners = [(y, x) for y in range(0, pixels.shape[0], side) for x in range(0, pixels.shape[1], side)]
    files = ChunkFiles(folder / "files", side)
    checking, level = zarr_level(pixels, folder / "a", side, False), zarr_level(pixels, folder / "b", side, True)

    def put(array: zarr.Array) -> None:
        for y, x in corners:
            array[:, y : y + side, x : x + side] = pixels[y : y + side, x : x + side].transpose(2, 0, 1)

    def get() -> None:
        for y, x in corners:
            np.ascontiguousarray(level[:, y : y + side, x : x + side].transpose(1, 2, 0))

    def save() -> None:
        for y, x in corners:
            files.save(y // side, x // side, pixels[y : y + side, x : x + side])

    def load() -> None:
        for y, x in corners:
            files.load(y // side, x // side)

    return {
        "write , looking for empty chunks": least({"files": save, "zarr": lambda: put(checking)}, ROUNDS),
        "write": least({"files": save, "zarr": lambda: put(level)}, ROUNDS),
        "read": least({"files": load, "zarr": get}, ROUNDS),
    }


def zarr_level(pixels: Pixels, path: Path, side: int, empty: bool) -> zarr.Array:
    return zarr.create_array(
        path,
        shape=(3, *pixels.shape[:2]),
        chunks=(3, side, side),
        dtype="uint8",
        filters=[TransposeCodec(order=(1, 2, 0))],
        compressors=[ZstdCodec(level=-5), Crc32cCodec()],
        fill_value=255,
        config={"write_empty_chunks": empty},
    )


def forced_to_disk(pixels: Pixels, folder: Path) -> Iterator[Row]:
    """Yield what forcing each chunk to the disk takes, by the clock."""
    folder.mkdir(parents=True)
    packed = [zstd.compress(chunk, -5) for chunk in chunks_of(pixels, CHUNK)]
    took = {}
    for forced in (False, True):
        began = time.perf_counter()
        for index, data in enumerate(packed):
            with open(folder / f"{index}", "wb") as file:
                file.write(data)
                if forced:
                    file.flush()
                    os.fsync(file.fileno())
        took[forced] = (time.perf_counter() - began) / pixels.shape[0] / pixels.shape[1] * 1e9
    shutil.rmtree(folder)
    yield Row("write and force to disk", took[True], "ms/MP by the clock", f"not forced: {took[False]:.2f}")


def copied_jpeg(slide: Path) -> Iterator[Row]:
    """Yield what it costs to keep the slide's own JPEG tiles, where working pixels are exactly a level's."""
    with open_slide(slide) as opened:
        info = opened.info
    side = min(info.width, info.height, 4096) // TILE * TILE
    tiles, megapixels = raw(slide, Box(0, 0, side, side)), side * side / 1e6
    memory = np.empty((TILE, TILE, 3), np.uint8)
    took = least(
        {
            "copy": lambda: [google_crc32c.value(bytes(tile)) for tile in tiles],
            "decode": lambda: [simplejpeg.decode_jpeg(tile, "RGB", buffer=memory) for tile in tiles],
        },
        ROUNDS,
    )
    read = f"read back: {took['decode'] / megapixels * 1e3:.2f}"
    size = f"{sum(map(len, tiles)) / megapixels / 1e6:.2f} B/px"
    yield Row(
        "codec the slide's own JPEG tiles, copied: checksum", took["copy"] / megapixels * 1e3, "ms/MP", read, note=size
    )


def more_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--slide", type=Path, help="A slide of JPEG tiles of 256 px.")
    options.add_argument("--mpp", type=float, default=0.5, help="At which it is kept.")


if __name__ == "__main__":
    main(__doc__, rows, more_options)
