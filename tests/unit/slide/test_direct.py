"""Tiles decoded straight from the file: OpenSlide's pixels and facts, at a multiple of its speed."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.errors import SlideError
from pathopipe.geometry import Box, Rect
from pathopipe.slide import SlideSpec, direct, open_slide
from pathopipe.slide.direct import DirectReader
from pathopipe.slide.jpeg import JpegTiles
from pathopipe.synth.region import draw_region
from pathopipe.synth.spec import SynthSpec
from tests.support.drawn_slides import halved, noise, write_svs, write_tiff
from tests.support.jpeg_slides import write_jpeg_slide

OPENSLIDE = SlideSpec(reader="openslide")


def picture(width: int, height: int, seed: int = 0) -> np.ndarray:
    """Return colours that are smooth in places and rough in others."""
    y, x = np.mgrid[:height, :width]
    smooth = np.stack([x * 255 / width, y * 255 / height, (x + y) % 256], axis=2)
    rough = noise(width, height, seed)
    return np.where((x // 40 + y // 40)[..., None] % 2, smooth, rough).astype(np.uint8)


@pytest.fixture(scope="module")
def tissue():
    spec = SynthSpec(width=4096, height=4096, tissue_fraction=1.0)
    return draw_region(spec, Box(1024, 1024, 1024 + 1001, 1024 + 770)).rgb


MANNERS = {
    "4:2:0": {},
    "4:2:2": {"sampling": "422"},
    "4:4:4": {"sampling": "444"},
    "4:2:0, tables apart": {"tables": True},
    "RGB with Adobe's marker": {"rgb": True, "sampling": "444"},
    "RGB that nothing marks": {"rgb": True, "sampling": "444", "bare": True},
    "RGB, tables apart": {"rgb": True, "sampling": "444", "bare": True, "tables": True},
    "YCbCr that nothing marks": {"bare": True},
    "odd tiles": {"tile": (240, 240)},
    "oblong tiles": {"tile": (64, 176)},
    "tiles larger than the slide": {"tile": (1024, 1024)},
    "BigTIFF": {"bigtiff": True},
    "missing tiles": {"missing": (0, 5, 11)},
    "Aperio": {"aperio": True, "sampling": "422"},
}


@pytest.mark.parametrize("manner", MANNERS.values(), ids=MANNERS.keys())
def test_pixels_and_facts_are_those_of_openslide(tmp_path, manner):
    full = picture(1003, 701)
    path = write_jpeg_slide(tmp_path / "a.tif", [full, halved(full, 4)], **manner)
    with open_slide(path) as ours, open_slide(path, OPENSLIDE) as theirs:
        assert ours.info.reader == "direct"
        assert "straight from the file" in ours.info.decoding
        assert replace(ours.info, reader="openslide", decoding=theirs.info.decoding) == theirs.info
        for rect in (
            Rect(0, 0, 1003, 701),
            Rect(-30, -20, 270, 280),
            Rect(239, 255, 513, 259),
            Rect(900, 600, 1100, 800),
        ):
            size = round(rect.width), round(rect.height)
            assert np.array_equal(ours.read(rect, *size), theirs.read(rect, *size)), rect
        level = ours.info.levels[1]
        corner = Rect(0, 0, 100 * level.downsample_x, 80 * level.downsample_y)
        assert np.array_equal(ours.read(corner, 100, 80), theirs.read(corner, 100, 80))


@settings(deadline=None, max_examples=25)
@given(x=st.integers(-20, 700), y=st.integers(-20, 500), width=st.integers(1, 400), height=st.integers(1, 300))
def test_any_box_is_openslides(pair, x, y, width, height):
    ours, theirs = pair
    rect = Rect(x, y, x + width, y + height)
    assert np.array_equal(ours.read(rect, width, height), theirs.read(rect, width, height))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    path = write_jpeg_slide(
        tmp_path_factory.mktemp("pair") / "a.tif", [picture(700, 501)], tile=(96, 128), missing=(4,)
    )
    with open_slide(path) as ours, open_slide(path, OPENSLIDE) as theirs:
        yield ours, theirs


@pytest.mark.parametrize(
    ("sampling", "rgb", "mean", "most"),
    [("420", False, 0.5, 5), ("422", False, 1.1, 10), ("444", False, 0.5, 3), ("444", True, 1.2, 30)],
)
@pytest.mark.parametrize(("scale", "shrink"), [(2, 2), (4, 4), (6, 2), (12, 4)])
def test_smaller_decoding_is_nearly_the_mean_of_areas(tmp_path, tissue, sampling, rgb, mean, most, scale, shrink):
    """What docs/adr/0008 promises of tissue: the mean difference, and that of all but one place in a thousand."""
    path = write_jpeg_slide(tmp_path / "a.tif", [tissue], sampling, rgb, missing=(2,))
    width, height = int(1001 / scale), int(770 / scale)
    rect = Rect(0, 0, width * scale, height * scale)
    with open_slide(path) as ours, open_slide(path, OPENSLIDE) as theirs:
        assert ours._source(scale, scale) == (0, shrink)
        off = np.abs(ours.read(rect, width, height).astype(int) - theirs.read(rect, width, height))
    assert off.mean() < mean
    assert np.quantile(off, 0.999) <= most


def test_missing_tiles_and_the_border_are_averaged(tmp_path, tissue):
    path = write_jpeg_slide(tmp_path / "a.tif", [tissue], missing=(2,))
    with open_slide(path) as ours, open_slide(path, OPENSLIDE) as theirs:
        smaller, averaged = (slide.read(Rect(0, 0, 1002, 770), 501, 385) for slide in (ours, theirs))
    assert not np.array_equal(smaller, averaged)
    assert (smaller[:128, 256:384] == 255).all()
    assert np.array_equal(smaller[384:], averaged[384:])
    assert np.array_equal(smaller[:, 384:], averaged[:, 384:])


@pytest.mark.parametrize("scale", [1.9836, 2.03, 3, 6.3])
def test_between_whole_factors_pixels_are_averaged(tmp_path, tissue, scale):
    path = write_jpeg_slide(tmp_path / "a.tif", [tissue])
    width, height = int(1001 / scale), int(770 / scale)
    rect = Rect(0, 0, width * scale, height * scale)
    with open_slide(path) as ours, open_slide(path, OPENSLIDE) as theirs:
        assert np.array_equal(ours.read(rect, width, height), theirs.read(rect, width, height))


@pytest.mark.parametrize("scale", [1.9836, 2.0, 4.0, 6.0])
def test_a_pixel_does_not_depend_on_the_box_that_it_is_read_in(tmp_path, tissue, scale):
    path = write_jpeg_slide(tmp_path / "a.tif", [tissue], tile=(240, 240))
    columns, rows = int(1001 / scale) + 1, int(770 / scale) + 1
    with open_slide(path) as slide:
        whole = slide.read(Rect(0, 0, columns * scale, rows * scale), columns, rows)
    for side in (50, 77):
        with open_slide(path) as slide:
            for y in range(0, rows - side, side):
                for x in range(0, columns - side, side):
                    rect = Rect(x * scale, y * scale, (x + side) * scale, (y + side) * scale)
                    assert np.array_equal(slide.read(rect, side, side), whole[y : y + side, x : x + side])


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_several_threads_read_what_one_reads(tmp_path, tissue, scale, monkeypatch):
    monkeypatch.setattr(direct, "CACHE_BYTES", 500_000)  # tiles come and go while others are read
    path = write_jpeg_slide(tmp_path / "a.tif", [tissue], missing=(6,))
    places = [(x, y) for y in range(0, 600, 90) for x in range(0, 800, 70)] * 2
    with open_slide(path) as slide, ThreadPoolExecutor(8) as pool:

        def read(at):
            return slide.read(Rect(at[0], at[1], at[0] + 40 * scale, at[1] + 40 * scale), 40, 40)

        alone = [read(at) for at in places]
        together = list(pool.map(read, places))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def damage(path, tile: int, change) -> None:
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        offset, count = page.dataoffsets[tile], page.databytecounts[tile]
    with path.open("r+b") as stream:
        stream.seek(offset)
        data = change(stream.read(count))
        assert len(data) == count
        stream.seek(offset)
        stream.write(data)


HARM = {
    "rubbish": lambda data: b"\xff" * len(data),
    "zeros": lambda data: bytes(len(data)),
    "cut off": lambda data: data[: len(data) // 2] + bytes(len(data) - len(data) // 2),
    "another size": lambda data: data.replace(b"\x08\x01\x00\x01\x00\x03", b"\x08\x00\xf0\x01\x00\x03"),
}


@pytest.mark.parametrize("scale", [1, 2])
@pytest.mark.parametrize("harm", HARM.values(), ids=HARM.keys())
def test_a_damaged_tile_is_an_error_and_fails_alone(tmp_path, harm, scale):
    path = write_jpeg_slide(tmp_path / "a.tif", [picture(1024, 1024)])
    damage(path, 6, harm)
    with open_slide(path) as slide:
        assert slide.info.reader == "direct"
        sound = slide.read(Rect(0, 0, 200, 200), 200 // scale, 200 // scale)
        for _ in range(2):
            with pytest.raises(SlideError, match=r"a\.tif: cannot decode level 0, x 512–768, y 256–512: "):
                slide.read(Rect(500, 300, 600, 400), 100 // scale, 100 // scale)
            assert np.array_equal(slide.read(Rect(0, 0, 200, 200), 200 // scale, 200 // scale), sound)


def test_a_tile_that_points_elsewhere_is_an_error(tmp_path):
    path = write_jpeg_slide(tmp_path / "a.tif", [picture(1024, 1024)])
    with tifffile.TiffFile(path) as file:
        place = file.pages[0].tags["TileOffsets"].valueoffset + 4 * 6
    with path.open("r+b") as stream:
        stream.seek(place)
        stream.write((3).to_bytes(4, "little"))
    with open_slide(path) as slide:
        assert slide.info.reader == "direct"
        assert slide.read(Rect(0, 0, 256, 256), 256, 256).std() > 5
        with pytest.raises(SlideError, match="cannot decode level 0, x 512–768"):
            slide.read(Rect(520, 300, 600, 400), 80, 100)


def test_coarser_levels_are_averaged(tmp_path, tissue):
    path = write_jpeg_slide(tmp_path / "a.tif", [tissue[:768, :1000], halved(tissue[:768, :1000], 4)])
    with open_slide(path) as ours, open_slide(path, OPENSLIDE) as theirs:
        assert ours._source(2, 2) == (0, 2)
        assert ours._source(8, 8) == (1, 1)
        rect = Rect(0, 0, 800, 640)
        assert np.array_equal(ours.read(rect, 100, 80), theirs.read(rect, 100, 80))


def test_colours_that_openslide_sees_otherwise_are_left_to_it(tmp_path, monkeypatch):
    """Were the tiles not what they seem, comparing them at opening would show it."""
    path = write_jpeg_slide(tmp_path / "a.tif", [picture(600, 600)])
    real = direct.find_levels

    def mistaken(*args):
        levels = real(*args)
        return tuple(replace(each, codec=JpegTiles(256, 256, False, b"")) for each in levels)

    monkeypatch.setattr(direct, "find_levels", mistaken)
    with pytest.raises(SlideError, match="is not as OpenSlide has it"):
        DirectReader().open(str(path), SlideSpec())
    with open_slide(path) as slide:
        assert slide.info.reader == "openslide"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"compression": "zlib"}, "compressed as ADOBE_DEFLATE, not as JPEG"),
        ({"compression": None}, "compressed as NONE"),
        ({"compression": "jpeg", "planarconfig": "separate"}, "not of interleaved RGB|cannot"),
    ],
)
def test_what_is_not_jpeg_tiles_goes_elsewhere(tmp_path, options, reason):
    pixels = noise(300, 300)
    if "planarconfig" in options:
        pixels = np.ascontiguousarray(pixels.transpose(2, 0, 1))
    path = write_tiff(tmp_path / "a.tif", [pixels], mpp=0.5, **options)
    with pytest.raises(SlideError, match=reason):
        DirectReader().open(str(path), SlideSpec())
    with open_slide(path) as slide:
        assert slide.info.reader in ("openslide", "tiffslide")


def test_an_aperio_slide_that_leaves_tiles_out_goes_to_openslide(tmp_path):
    full = picture(1003, 701)
    path = write_jpeg_slide(tmp_path / "a.svs", [full, halved(full, 4)], aperio=True, missing=(3,))
    with open_slide(path) as slide:
        assert slide.info.reader == "openslide"


def test_strips_go_elsewhere(tmp_path):
    path = tmp_path / "strips.tif"
    tifffile.imwrite(path, noise(300, 300), photometric="rgb", compression="jpeg", rowsperstrip=16, metadata=None)
    with open_slide(path) as slide:
        assert slide.info.reader == "tiffslide"


def test_a_level_of_a_broken_downsample_is_read_as_it_is(tmp_path):
    """OpenSlide divides by the mean quotient of the sizes, 4.00012, and interpolates; here nothing is."""
    full = picture(100_003, 67)
    path = write_jpeg_slide(tmp_path / "far.tif", [full, halved(full, 4)], sampling="444")
    with open_slide(path) as ours, open_slide(path, SlideSpec(reader="tiffslide")) as exact:
        assert ours.info.reader == "direct"
        rect = Rect(98_000, 0, 98_800, 64)
        assert np.array_equal(ours.read(rect, 200, 16), exact.read(rect, 200, 16))


def test_memory_of_decoded_tiles_is_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(direct, "CACHE_BYTES", 3 * 256 * 256 * 3)
    path = write_svs(tmp_path / "a.svs", [picture(1500, 1500)])
    with open_slide(path) as slide:
        for x in range(0, 1400, 50):
            slide.read(Rect(x, x, x + 20, x + 20), 20, 20)
            assert slide._pixels._cache._bytes <= direct.CACHE_BYTES
            assert slide._pixels._cache._bytes == sum(each.nbytes for each in slide._pixels._cache._tiles.values())


def test_closing_releases_the_file(tmp_path):
    path = write_jpeg_slide(tmp_path / "a.tif", [picture(300, 300)])
    before = open_files()
    slide = open_slide(path)
    slide.close()
    with pytest.raises(SlideError, match="is closed"):
        slide.read(Rect(0, 0, 10, 10), 10, 10)
    del slide
    gc.collect()
    assert open_files() == before


def open_files() -> int:
    from pathlib import Path

    return sum(1 for _ in Path("/proc/self/fd").iterdir())
