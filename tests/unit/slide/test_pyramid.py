from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.geometry import Rect
from pathopipe.slide import pyramid
from pathopipe.slide.base import Scale, Slide, SlideInfo
from pathopipe.slide.levels import pyramid as levels_of
from pathopipe.slide.pyramid import PyramidSlide
from tests.support.drawn_slides import halved, noise


class Arrays:
    """Levels in memory that remember what was read of them."""

    def __init__(self, levels):
        self.levels = levels
        self.boxes = []

    def read_level(self, index, box):
        self.boxes.append((index, box))
        height, width = self.levels[index].shape[:2]
        assert 0 <= box.x0 < box.x1 <= width
        assert 0 <= box.y0 < box.y1 <= height
        return self.levels[index][box.y0 : box.y1, box.x0 : box.x1]

    def close(self):
        self.levels = []


def slide_of(*levels) -> PyramidSlide:
    height, width = levels[0].shape[:2]
    sizes = [(level.shape[1], level.shape[0]) for level in levels]
    info = SlideInfo("drawn", "test", width, height, levels_of(sizes), Scale(1, 1, "test"), "", None, "", None, "", ())
    return PyramidSlide(info, Arrays(levels))


def test_it_is_a_slide():
    slide: Slide = slide_of(noise(8, 8))
    with slide as same:
        assert same.info.width == 8


@settings(deadline=None, max_examples=40)
@given(x=st.integers(-40, 130), y=st.integers(-40, 130), width=st.integers(1, 90), height=st.integers(1, 90))
def test_outside_is_white_and_inside_untouched(x, y, width, height):
    pixels = noise(101, 97)
    framed = np.full((400, 400, 3), 255, np.uint8)
    framed[100:197, 100:201] = pixels
    read = slide_of(pixels).read(Rect(x, y, x + width, y + height), width, height)
    assert np.array_equal(read, framed[y + 100 : y + 100 + height, x + 100 : x + 100 + width])


def test_wholly_outside_reads_nothing():
    slide = slide_of(noise(32, 32))
    assert (slide.read(Rect(40, 0, 80, 40), 20, 20) == 255).all()
    assert slide._pixels.boxes == []


def test_a_small_slide_in_a_large_rectangle_takes_little_memory():
    slide = slide_of(np.zeros((100, 100, 3), np.uint8))
    read = slide.read(Rect(-40_000, -40_000, 40_000, 40_000), 80, 80)
    assert sum(box.area for _, box in slide._pixels.boxes) == 100 * 100
    assert (read[:39] == 255).all()
    assert read[40, 40, 0] == 252


@pytest.mark.parametrize("scale", [1.0, 2.0, 2.7, 4.0, 8.0, 11.3])
@pytest.mark.parametrize("place", [0, 700, 6400])
def test_a_bar_is_found_where_it_was_drawn(scale, place):
    width = 8003
    pixels = np.full((64, width, 3), 255, np.uint8)
    pixels[:, place + 501 : place + 564] = 0
    slide = slide_of(pixels, halved(pixels, 2), halved(pixels, 4))
    columns = int(1000 / scale)
    row = slide.read(Rect(place, 0, place + columns * scale, 8 * scale), columns, 8)[2, :, 0]
    dark = 255.0 - row
    centre = place + ((np.arange(columns) + 0.5) * dark).sum() / dark.sum() * scale
    assert centre == pytest.approx(place + 532.5, abs=0.3)  # what falls inside one pixel has no place
    assert dark.sum() * scale / 255 == pytest.approx(63, abs=0.5)


def test_a_whole_slide_is_read_in_parts_that_join(monkeypatch):
    pixels = noise(301, 207)
    slide = slide_of(pixels)
    whole = slide.read(Rect(0, 0, 301, 207), 43, 31)
    monkeypatch.setattr(pyramid, "MOST_PIXELS", 5000)
    slide._pixels.boxes.clear()
    parts = slide.read(Rect(0, 0, 301, 207), 43, 31)
    assert len(slide._pixels.boxes) > 8
    assert max(box.area for _, box in slide._pixels.boxes) < 6500
    # Edges of the parts are computed from other ends: the last bit of an edge may differ.
    assert np.abs(whole.astype(int) - parts).max() <= 1


@settings(deadline=None, max_examples=30)
@given(col=st.integers(0, 5), row=st.integers(0, 5), scale=st.floats(0.99, 6))
def test_tiles_of_one_grid_agree_where_they_overlap(col, row, scale):
    pixels = noise(260, 260)
    slide = slide_of(pixels, halved(pixels, 2))
    whole = slide.read(Rect(0, 0, 40 * scale, 40 * scale), 40, 40)
    box = Rect(col * 4 * scale, row * 4 * scale, (col * 4 + 16) * scale, (row * 4 + 16) * scale)
    assert np.array_equal(slide.read(box, 16, 16), whole[row * 4 : row * 4 + 16, col * 4 : col * 4 + 16])


@pytest.mark.parametrize(("rect", "width"), [(Rect(0, 0, 0, 5), 5), (Rect(5, 5, 4, 9), 5), (Rect(0, 0, 5, 5), 0)])
def test_an_empty_read_is_refused(rect, width):
    with pytest.raises(ValueError, match="nothing is asked for"):
        slide_of(noise(8, 8)).read(rect, width, 5)
