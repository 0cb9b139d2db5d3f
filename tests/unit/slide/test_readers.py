"""Slides written to disk and read back through each reader."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tifffile

from pathopipe.errors import MissingScaleError, SlideError, UnreadableSlideError
from pathopipe.geometry import Box, Rect
from pathopipe.slide import SlideSpec, open_slide
from tests.support.drawn_slides import halved, noise, write_ome_zarr, write_svs, write_tiff

FAR = 100_003
"""Columns of a slide whose quarter level has 25000: the quotient of the sizes is wrong."""


@pytest.fixture(scope="module")
def far_bar(tmp_path_factory):
    """A long slide of 100003 × 67 px, level 1 of 25000 × 16, with a black bar at x = 99,001 … 99,064."""
    pixels = np.full((67, FAR, 3), 255, np.uint8)
    pixels[:, 99_001:99_064] = 0
    folder = tmp_path_factory.mktemp("far")
    write_tiff(folder / "far.tif", [pixels, halved(pixels, 4)], mpp=0.25)
    write_ome_zarr(folder / "far.zarr", [pixels[:, 98_000:], halved(pixels, 4)[:, 24_500:]], mpp=0.25)
    return folder


@pytest.mark.parametrize("reader", ["openslide", "tiffslide"])
@pytest.mark.parametrize("scale", [1.0, 2.0, 3.1, 4.0, 4.3, 8.0])
def test_positions_far_from_the_origin_are_exact(far_bar, reader, scale):
    with open_slide(far_bar / "far.tif", SlideSpec(reader=reader)) as slide:
        assert slide.info.levels[1].downsample_x == 4.0
        columns = int(2000 / scale)
        row = slide.read(Rect(98_000, 0, 98_000 + columns * scale, 8 * scale), columns, 8)[2, :, 0]
    dark = 255.0 - row
    centre = 98_000 + ((np.arange(columns) + 0.5) * dark).sum() / dark.sum() * scale
    assert centre == pytest.approx(99_032.5, abs=0.7)
    assert dark.sum() * scale / 255 == pytest.approx(63, abs=1)


@pytest.mark.parametrize("reader", ["openslide", "tiffslide"])
@pytest.mark.parametrize("index", [0, 1])
@pytest.mark.parametrize("box", [Box(0, 0, 40, 30), Box(700, 500, 1000, 750), Box(255, 256, 257, 300)])
def test_a_level_is_read_pixel_by_pixel(tmp_path, reader, index, box):
    full = noise(4000, 3000)
    levels = [full, noise(1000, 750, 1)]
    path = write_tiff(tmp_path / "whole.tif", levels)
    factor = 4**index
    rect = Rect(*(edge * factor for edge in box))
    with open_slide(path, SlideSpec(reader=reader)) as slide:
        assert np.array_equal(slide.read(rect, box.width, box.height), levels[index][box.y0 : box.y1, box.x0 : box.x1])


def test_a_broken_downsample_moves_nothing_and_reads_agree(tmp_path):
    full = noise(4003, 3001)
    level = noise(1000, 750, 1)
    smooth = np.asarray(np.round(np.cumsum(np.cumsum(level.astype(float) / 255 - 0.5, 0), 1)), float)
    smooth = np.asarray(255 * (smooth - smooth.min()) / np.ptp(smooth), np.uint8)
    path = write_tiff(tmp_path / "broken.tif", [full, smooth])
    with open_slide(path, SlideSpec(reader="openslide")) as slide:
        assert slide.info.levels[1].downsample_x == 4.0
        whole = slide.read(Rect(0, 0, 4000, 3000), 1000, 750)
        part = slide.read(Rect(2004, 1204, 3604, 2804), 400, 400)
    # At its right and lower border OpenSlide mixes in the transparent pixels beyond.
    assert np.abs(whole.astype(int) - smooth)[:-1, :-1].max() <= 8
    assert np.array_equal(part, whole[301:701, 501:901])


def test_aperio_facts(tmp_path):
    full = noise(1000, 700)
    path = write_svs(tmp_path / "a.svs", [full, halved(full, 4)], mpp="0.2521", power="40")
    with open_slide(path) as slide:
        info = slide.info
    assert (info.reader, info.vendor, info.objective) == ("direct", "aperio", 40.0)
    assert (info.width, info.height) == (1000, 700)
    assert [level.downsample_x for level in info.levels] == [1.0, 4.0]
    assert (info.scale.x, info.scale.y, info.scale.source) == (0.2521, 0.2521, "openslide.mpp-x")
    frame = info.frame(0.5)
    assert (frame.width, frame.height) == (505, 353)


def test_aperio_without_mpp_suggests_what_its_objective_usually_gives(tmp_path):
    text = "Aperio Image Library v12.0.15 \r\n300x300 [0,0 300x300] (256x256) JPEG/RGB Q=90|AppMag = 40"
    path = write_svs(tmp_path / "no-mpp.svs", [noise(300, 300)], description=text)
    with open_slide(path) as slide:
        assert slide.info.scale_found is None
        with pytest.raises(MissingScaleError, match=r"--mpp 0\.25"):
            _ = slide.info.scale
    with open_slide(path, SlideSpec(mpp=0.26)) as slide:
        assert (slide.info.scale.x, slide.info.scale.source) == (0.26, "given by the user")


def test_readers_see_the_same_slide(tmp_path):
    full = noise(900, 700)
    path = write_svs(tmp_path / "a.svs", [full, halved(full, 4)])
    infos, pixels = [], []
    for reader in ("openslide", "tiffslide"):
        with open_slide(path, SlideSpec(reader=reader)) as slide:
            infos.append(slide.info)
            pixels.append(slide.read(Rect(-20, 30, 480, 530), 250, 250))
    assert infos[0].levels == infos[1].levels
    assert infos[0].identity == infos[1].identity
    assert (infos[0].scale.x, infos[0].objective) == (infos[1].scale.x, infos[1].objective)
    assert np.abs(pixels[0].astype(int) - pixels[1]).max() <= 1


@pytest.fixture
def damaged(tmp_path):
    """A JPEG slide of 4 × 4 tiles whose tile at (512, 512) is rubbish, and its undamaged pixels."""
    pixels = np.full((1024, 1024, 3), 200, np.uint8)
    pixels[::7] = 60
    path = write_tiff(tmp_path / "damaged.tif", [pixels, halved(pixels, 4)], compression="jpeg")
    with tifffile.TiffFile(path) as file:
        page = file.pages[0]
        offset, count = page.dataoffsets[10], page.databytecounts[10]
    with path.open("r+b") as stream:
        stream.seek(offset)
        stream.write(b"\xff" * count)
    return path


@pytest.mark.parametrize("reader", ["openslide", "tiffslide"])
def test_a_broken_tile_fails_alone(damaged, reader):
    with open_slide(damaged, SlideSpec(reader=reader)) as slide:
        before = slide.read(Rect(0, 0, 200, 200), 200, 200)
        for _ in range(2):
            with pytest.raises(SlideError, match=r"damaged\.tif: .*cannot decode level 0, x 600–700, y 600–700"):
                slide.read(Rect(600, 600, 700, 700), 100, 100)
            assert np.array_equal(slide.read(Rect(0, 0, 200, 200), 200, 200), before)


def test_other_threads_do_not_suffer_from_a_broken_tile(damaged):
    with open_slide(damaged, SlideSpec(reader="openslide")) as slide:
        expected = slide.read(Rect(0, 0, 300, 300), 300, 300)

        def read(turn: int) -> bool:
            if turn % 3:
                return bool(np.array_equal(slide.read(Rect(0, 0, 300, 300), 300, 300), expected))
            with pytest.raises(SlideError):
                slide.read(Rect(600, 600, 700, 700), 100, 100)
            return True

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(read, range(120)))


@pytest.mark.parametrize("reader", ["openslide", "tiffslide", "omezarr"])
def test_several_threads_read_what_one_reads(tmp_path, reader):
    full = noise(700, 700)
    path = tmp_path / ("a.zarr" if reader == "omezarr" else "a.tif")
    if reader == "omezarr":
        write_ome_zarr(path, [full])
    else:
        write_tiff(path, [full])
    with open_slide(path, SlideSpec(reader=reader)) as slide, ThreadPoolExecutor(8) as pool:
        corners = [(x, y) for x in range(0, 600, 97) for y in range(0, 600, 97)]
        read = pool.map(lambda at: slide.read(Rect(at[0], at[1], at[0] + 100, at[1] + 100), 100, 100), corners)
        for (x, y), pixels in zip(corners, read, strict=True):
            assert np.array_equal(pixels, full[y : y + 100, x : x + 100])


@pytest.mark.parametrize("reader", ["openslide", "omezarr"])
def test_a_closed_slide_says_so(tmp_path, reader):
    path = tmp_path / "a.zarr"
    if reader == "omezarr":
        write_ome_zarr(path, [noise(64, 64)])
    else:
        path = write_tiff(tmp_path / "a.tif", [noise(300, 300)])
    slide = open_slide(path)
    assert slide.info.reader == reader
    slide.close()
    with pytest.raises(SlideError, match="is closed"):
        slide.read(Rect(0, 0, 10, 10), 10, 10)


def test_urls_are_read_through_fsspec(tmp_path):
    import fsspec

    full = noise(600, 500)
    data = write_tiff(tmp_path / "a.tif", [full, halved(full, 2)], mpp=0.5).read_bytes()
    with fsspec.open("memory://drawn/a.tif", "wb") as stream:
        stream.write(data)
    with open_slide("memory://drawn/a.tif") as slide, open_slide(tmp_path / "a.tif") as local:
        assert (slide.info.reader, slide.info.path) == ("tiffslide", "memory://drawn/a.tif")
        assert slide.info.identity == local.info.identity
        assert slide.info.scale.x == pytest.approx(0.5)
        assert np.array_equal(slide.read(Rect(100, 50, 300, 250), 200, 200), full[50:250, 100:300])


def test_a_url_without_a_file_says_so():
    with pytest.raises(UnreadableSlideError, match="tiffslide: there is no such file"):
        open_slide("memory://nowhere/a.svs")


def test_webp_that_openslide_lacks_goes_to_tiffslide(tmp_path):
    path = write_tiff(tmp_path / "a.tif", [halved(noise(1200, 1200), 4)], mpp=0.5, compression="webp")
    with open_slide(path) as slide:
        assert slide.info.reader == "tiffslide"
        assert slide.read(Rect(0, 0, 300, 300), 300, 300).std() > 5


def test_missing_tiles_of_a_sparse_tiff_are_white(tmp_path):
    full = np.full((600, 600, 3), 90, np.uint8)

    def tiles():
        for number in range(9):
            yield None if number == 4 else full[:256, :256]

    path = tmp_path / "sparse.tif"
    with tifffile.TiffWriter(path) as writer:
        writer.write(tiles(), shape=full.shape, dtype="uint8", tile=(256, 256), photometric="rgb", metadata=None)
    with open_slide(path, SlideSpec(reader="tiffslide")) as slide:
        pixels = slide.read(Rect(0, 0, 600, 600), 600, 600)
    assert (pixels[256:512, 256:512] == 255).all()
    assert (pixels[:256] == 90).all()


def test_transparent_is_white(tmp_path):
    rgba = np.zeros((300, 300, 4), np.uint8)
    rgba[:, :150] = (100, 50, 20, 255)
    rgba[:100, 150:] = (100, 50, 20, 51)
    path = write_tiff(tmp_path / "alpha.tif", [rgba], extrasamples=["unassalpha"])
    with open_slide(path, SlideSpec(reader="tiffslide")) as slide:
        pixels = slide.read(Rect(0, 0, 300, 300), 300, 300)
    assert (pixels[:, :150] == (100, 50, 20)).all()
    assert (pixels[150:, 150:] == 255).all()
    assert (pixels[50, 200] == (224, 214, 208)).all()


@pytest.mark.parametrize(
    ("pixels", "photometric", "reason"),
    [
        (np.zeros((300, 300), np.uint8), "minisblack", "1 channel"),
        (np.zeros((300, 300), np.uint16), "minisblack", "type uint16"),
        (np.zeros((300, 300, 3), np.uint16), "rgb", "type uint16"),
    ],
)
def test_grey_and_deep_pixels_are_refused(tmp_path, pixels, photometric, reason):
    path = write_tiff(tmp_path / "a.tif", [pixels], photometric=photometric)
    with pytest.raises(UnreadableSlideError, match=reason):
        open_slide(path)
