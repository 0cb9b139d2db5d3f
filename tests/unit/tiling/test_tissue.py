from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.errors import UnsuitableSlideError
from pathopipe.geometry import Frame
from pathopipe.slide.base import SlideSpec
from pathopipe.slide.open import open_slide
from pathopipe.tiling.outline import outline
from pathopipe.tiling.overview import read_overview
from pathopipe.tiling.spec import ArtefactSpec, TissueSpec
from pathopipe.tiling.tissue import find_tissue
from tests.support.slides import ArraySlide
from tests.support.stained import DAB, GREY, HAEMATOXYLIN, HE, PALE_HE, WHITE, YELLOW, glass, piece, stained

SHAPE = (300, 400)


DEFAULTS = TissueSpec()
ARTEFACTS = ArtefactSpec()


def found(rgb, spec=DEFAULTS, mpp=8.0, artefacts=ARTEFACTS):
    """Find tissue and return it with its mask at the slide's own pixels."""
    tissue = find_tissue(ArraySlide(rgb, mpp), spec, artefacts)
    mask = np.zeros(rgb.shape[:2], np.uint8)
    for part in tissue.polygons.geoms:
        cv2.fillPoly(mask, [np.round(np.asarray(part.exterior.coords) - 0.5).astype(int)], 1)
        for hole in part.interiors:
            cv2.fillPoly(mask, [np.round(np.asarray(hole.coords) - 0.5).astype(int)], 0)
    return tissue, mask.astype(bool)


def overlap(mask, truth):
    return (mask & truth).sum() / (mask | truth).sum()


@pytest.mark.parametrize("on", [WHITE, GREY, YELLOW, (255, 255, 255)], ids=["white", "grey", "yellow", "clipped"])
@pytest.mark.parametrize("colour", [HE, PALE_HE, HAEMATOXYLIN, DAB], ids=["he", "pale", "haematoxylin", "dab"])
def test_stains_are_found_on_every_glass(on, colour):
    truth = piece(*SHAPE, (180, 140), (110, 70))
    tissue, mask = found(stained(glass(*SHAPE, on), truth, colour))
    assert overlap(mask, truth) > 0.93
    assert tissue.area_mm2 == pytest.approx(truth.sum() * 64e-6, rel=0.06)
    assert tissue.slide_area_mm2 == pytest.approx(300 * 400 * 64e-6)


def test_pale_tissue_stays_beside_dark_tissue():
    dark, pale = piece(*SHAPE, (100, 150), (70, 60)), piece(*SHAPE, (300, 150), (70, 60))
    picture = stained(stained(glass(*SHAPE), dark, DAB, texture=0.4), pale, HAEMATOXYLIN)
    assert overlap(found(picture)[1], dark | pale) > 0.9


@pytest.mark.parametrize("noise", [0.0, 0.8, 2.0])
@pytest.mark.parametrize("colour", [WHITE, GREY, YELLOW, (255, 255, 255), (240, 236, 241)])
def test_empty_glass_has_no_tissue(colour, noise):
    tissue, _ = found(glass(*SHAPE, colour, noise))
    assert tissue.polygons.is_empty
    assert tissue.area_mm2 == 0
    assert tissue.thumbnail.shape == (*SHAPE, 3)


def test_unevenly_lit_empty_glass_has_no_tissue():
    light = np.linspace(0.94, 1.0, 400)[None, :, None]
    assert found((glass(*SHAPE) * light).astype(np.uint8))[0].polygons.is_empty


@pytest.mark.parametrize("colour", [HE, DAB, (190, 185, 205)])
def test_a_slide_that_is_all_tissue_is_found_whole(colour):
    tissue, _ = found(stained(glass(60, 50), np.ones((60, 50), bool), colour))
    assert tissue.area_mm2 > 0.97 * tissue.slide_area_mm2


def test_black_and_white_padding_are_no_tissue_and_no_glass():
    truth = piece(*SHAPE, (200, 150), (90, 60))
    picture = stained(glass(*SHAPE, GREY), truth, HE)
    picture[:, :50], picture[260:], picture[:30] = 0, (3, 2, 4), 255
    picture[:, 370:] = 255
    assert overlap(found(picture)[1], truth) > 0.93


def test_dark_tissue_at_the_border_is_no_padding():
    truth = piece(*SHAPE, (390, 150), (80, 60))
    picture = stained(glass(*SHAPE), truth, (60, 40, 45), texture=0.5)
    # so dark that it is taken for dirt, unless artefacts are let be
    assert overlap(found(picture, artefacts=ArtefactSpec(enabled=False))[1], truth) > 0.9


def test_dust_fibres_and_coverslip_edges_are_no_tissue():
    picture = glass(*SHAPE)
    for x, y in ((30, 40), (200, 80), (350, 250)):
        cv2.circle(picture, (x, y), 3, (90, 90, 92), -1)
    cv2.line(picture, (0, 280), (399, 270), (150, 151, 150), 3)  # a coverslip's edge
    cv2.line(picture, (100, 0), (140, 299), (60, 62, 61), 2)  # a hair
    cv2.ellipse(picture, (300, 120), (40, 25), 0, 0, 360, (215, 215, 215), 2)  # a bubble
    assert found(picture)[0].polygons.is_empty


def test_fat_with_its_thin_walls_is_tissue():
    truth = piece(*SHAPE, (200, 150), (120, 80))
    walls = np.zeros(SHAPE, bool)
    walls[::7] = walls[:, ::7] = True
    _, mask = found(stained(glass(*SHAPE), truth & walls, (225, 190, 210)))
    assert overlap(mask, truth) > 0.85


def test_large_holes_stay_and_small_ones_are_filled():
    truth = piece(*SHAPE, (200, 150), (140, 100), 0)
    truth &= ~piece(*SHAPE, (150, 150), (30, 30))
    small = piece(*SHAPE, (260, 150), (6, 6))
    tissue, mask = found(stained(glass(*SHAPE), truth & ~small, HE))
    assert overlap(mask, truth) > 0.95
    assert sum(len(part.interiors) for part in tissue.polygons.geoms) == 1


def test_min_area_is_in_um2():
    picture = stained(glass(*SHAPE), piece(*SHAPE, (200, 150), (20, 20)), HE)
    area_um2 = np.pi * 20**2 * 64
    assert found(picture, TissueSpec(min_area_um2=0.8 * area_um2))[0].area_mm2 > 0
    assert found(picture, TissueSpec(min_area_um2=1.3 * area_um2))[0].area_mm2 == 0


def test_a_slide_with_rectangular_pixels_gives_level0_polygons():
    truth = piece(300, 400, (180, 140), (110, 70), 0)
    picture = stained(glass(*SHAPE), truth, HE).repeat(2, axis=0)  # 8 µm wide, 4 µm high
    tissue, mask = found(picture, mpp=(8.0, 4.0))
    assert tissue.area_mm2 == pytest.approx(truth.sum() * 64e-6, rel=0.05)
    assert overlap(mask, truth.repeat(2, axis=0)) > 0.95


def test_light_on_dark_is_refused_with_a_cure():
    rng = np.random.default_rng(0)
    dots = cv2.GaussianBlur((rng.random(SHAPE) > 0.995).astype(np.float32), (0, 0), 4)
    picture = np.zeros((*SHAPE, 3), np.uint8)
    picture[..., 2] = np.clip(dots / dots.max() * 255, 0, 255)
    with pytest.raises(UnsuitableSlideError, match=r"tissue\.enabled=false"):
        found(picture)
    tissue, _ = found(picture, TissueSpec(enabled=False))
    assert tissue.area_mm2 == pytest.approx(tissue.slide_area_mm2)


def test_mostly_black_padding_is_not_dark_field():
    picture = np.zeros((300, 400, 3), np.uint8)
    truth = piece(300, 400, (200, 150), (50, 30))
    picture[80:220, 120:290] = stained(glass(*SHAPE), truth, HE)[80:220, 120:290]
    assert overlap(found(picture)[1], truth) > 0.9


def masks():
    def draw(seed):
        rng = np.random.default_rng(seed)
        height, width = rng.integers(3, 60, 2)
        smooth = cv2.GaussianBlur(rng.random((height, width)).astype(np.float32), (0, 0), float(rng.uniform(0.3, 3)))
        return smooth > np.quantile(smooth, rng.uniform(0.05, 0.95))

    return st.integers(0, 2**32 - 1).map(draw)


@given(masks(), st.floats(1, 40), st.floats(1, 40))
@settings(deadline=None, max_examples=150)
def test_outlines_are_valid_rounded_and_inside(mask, scale_x, scale_y):
    height, width = mask.shape
    frame = Frame(width, height, 8.0, scale_x, scale_y)
    size = (int(width * scale_x), int(height * scale_y))
    polygons = outline(mask, frame, *size)
    assert polygons.is_valid
    xy = shapely.get_coordinates(polygons)
    assert (xy == np.round(xy, 1)).all()
    assert (xy >= 0).all()
    assert (xy <= size).all()


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=15)
def test_outlines_of_large_shapes_follow_them_to_a_pixel(seed):
    rng = np.random.default_rng(seed)
    centre, axes = (tuple(int(value) for value in rng.integers(low, low + 50, 2)) for low in (80, 30))
    mask = piece(200, 300, centre, axes, float(rng.uniform(0, 90)))
    polygons = outline(mask, Frame(300, 200, 8.0, 16.0, 16.0), 4800, 3200)
    assert polygons.area / 256 == pytest.approx(mask.sum(), rel=0.02)
    xy = shapely.get_coordinates(polygons)
    assert len(xy) < 400


class BlockSlide(ArraySlide):
    """A giant slide of one colour, made as it is read; remembers the largest read in level-0 pixels."""

    def read(self, rect, width, height):
        self.reads.append((rect, width, height))
        return np.full((height, width, 3), 243, np.uint8)


def test_a_giant_slide_is_seen_in_blocks_and_more_coarsely():
    slide = BlockSlide(np.zeros((8, 8, 3), np.uint8), 0.25)
    size = {"width": 400_000, "height": 300_000}
    slide._info = replace(slide.info, **size, levels=(replace(slide.info.levels[0], **size),))
    pixels, frame = read_overview(slide, 8.0)
    assert pixels.shape[0] * pixels.shape[1] <= 16.1e6
    assert frame.mpp > 8
    assert max(rect.width * rect.height for rect, _, _ in slide.reads) <= 2048**2 * 1.1
    # Every pixel is covered by exactly one read.
    assert sum(width * height for _, width, height in slide.reads) == pixels.shape[0] * pixels.shape[1]


def test_blocks_make_the_same_picture_as_one_read():
    rng = np.random.default_rng(3)
    rgb = rng.integers(0, 256, (3000, 2500, 3), dtype=np.uint8)
    slide = ArraySlide(rgb, 2.0)
    pixels, frame = read_overview(slide, 8.0)
    assert len(slide.reads) > 1
    whole = cv2.resize(rgb, (frame.width, frame.height), interpolation=cv2.INTER_AREA)
    assert np.array_equal(pixels, whole)


def test_real_slides(real_data):
    slides = real_data / "slides"
    for name, mpp, low, high in (
        ("cmu-1-small-region.svs", None, 0.36, 0.46),
        ("tcga-cr-7395-01a-01-ts1.svs", 0.25, 0.6, 0.7),
        ("wsic-CMU-1-badmpp.jpeg.tiff", 0.5, 0.36, 0.46),
    ):
        with open_slide(str(slides / name), SlideSpec(mpp=mpp)) as slide:
            tissue = find_tissue(slide, TissueSpec())
        assert low < tissue.area_mm2 / tissue.slide_area_mm2 < high, name
    with open_slide(str(slides / "slideio-test3-DAPI.ndpi"), SlideSpec()) as slide, pytest.raises(UnsuitableSlideError):
        find_tissue(slide, TissueSpec())
