from __future__ import annotations

import numpy as np
import pytest
import shapely
from PIL import Image, ImageDraw

from pathopipe.annotations.colours import colour_of
from pathopipe.annotations.written import WrittenCells
from pathopipe.errors import SlideError
from pathopipe.geometry import Frame, Outlines, Rect
from pathopipe.instances import Instances
from pathopipe.report import heat, overview
from pathopipe.report.field import densest_field
from pathopipe.report.lettering import width_of, write
from pathopipe.report.overview import CELL, FIELD, TISSUE, draw_overview

GREY = 200


def squares(centres, side, class_id=None, classes=("Nucleus",), mpp=0.5):
    """Return cells, squares of ``side`` level-0 pixels, as if read from a file."""
    centres = np.asarray(centres, np.float64).reshape(-1, 2)
    corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * side / 2
    n = len(centres)
    outlines = Outlines((centres[:, None] + corners).reshape(-1, 2).astype(np.float32), np.arange(n + 1) * 4)
    class_id = np.zeros(n, np.uint8) if class_id is None else np.asarray(class_id, np.uint8)
    score = np.ones(n, np.float32)

    def within(rect):
        x0, y0, x1, y1 = outlines.bounds().T
        chosen = (x1 > rect.x0) & (x0 < rect.x1) & (y1 > rect.y0) & (y0 < rect.y1)
        return Instances(outlines, score, class_id, classes).take(chosen)

    return WrittenCells(classes, class_id, score, outlines.areas() * mpp**2, outlines.centroids(), within)


def glass(frame):
    return np.full((frame.height, frame.width, 3), GREY, np.uint8)


def is_colour(pixel, colour, tolerance=60):
    return np.abs(pixel.astype(int) - colour).max() <= tolerance


@pytest.fixture
def close():
    """400 × 300 pixels of 1 µm, 2 level-0 pixels each."""
    return Frame.at(1.0, 800, 600, 0.5, 0.5)


@pytest.fixture
def far():
    """A slide of 80,000 × 60,000 level-0 pixels on a picture of 400 × 300."""
    return Frame.at(50.0, 80_000, 60_000, 0.25, 0.25)


def test_large_cells_are_outlined_where_they_are(close):
    cells = squares([[400, 300]], 100)  # level 0: a square from (350, 250) to (450, 350) has its sides at x = 175, 225
    picture = draw_overview(glass(close), close, shapely.MultiPolygon(), cells, {})
    assert picture.shape == (300, 400, 3)
    assert is_colour(picture[150, 174:176].mean(0), CELL, 90)
    assert is_colour(picture[150, 224:226].mean(0), CELL, 90)
    assert picture[150, 200].tolist() == [GREY] * 3
    assert picture[150, 170].tolist() == [GREY] * 3


def test_an_outline_is_drawn_to_a_fraction_of_a_pixel(close):
    # The left side lies on the border of columns 174 and 175: both take the same part of the line.
    picture = draw_overview(glass(close), close, shapely.MultiPolygon(), squares([[400, 300]], 100), {})
    left, right = picture[150, 174].astype(int), picture[150, 175].astype(int)
    assert np.abs(left - right).max() < 40


def test_classes_have_their_colours(close):
    cells = squares([[200, 300], [600, 300]], 100, [0, 1], ("Tumor", "Other"))
    picture = draw_overview(glass(close), close, shapely.MultiPolygon(), cells, {"Tumor": (0, 0, 250)})
    assert picture[150, 74:76, 2].mean() > picture[150, 74:76, 0].mean() + 50
    assert picture[150, 274:276, 0].mean() > picture[150, 274:276, 2].mean() + 50


def test_tissue_and_its_holes_are_outlined(close):
    tissue = shapely.MultiPolygon([shapely.box(100, 100, 700, 500).difference(shapely.box(300, 200, 500, 400))])
    picture = draw_overview(glass(close), close, tissue, squares([], 1), {})
    for y, x in [(150, 50), (150, 350), (50, 200), (100, 200), (150, 150), (150, 250)]:
        around = picture[y - 1 : y + 1, x - 1 : x + 1].reshape(-1, 3)
        assert any(is_colour(pixel, TISSUE) for pixel in around), (y, x)
    assert picture[150, 100].tolist() == [GREY] * 3


def test_small_cells_become_a_density(far):
    rng = np.random.default_rng(0)
    cells = squares(rng.normal([20_000, 30_000], 1500, (20_000, 2)), 30)
    picture = draw_overview(glass(far), far, shapely.MultiPolygon(), cells, {}).astype(int)
    assert picture[150, 100].tolist() != [GREY] * 3
    assert np.ptp(picture[150, 100]) > 60
    assert picture[100, 300].tolist() == [GREY] * 3


def test_the_density_adds_up_to_the_cells(far):
    rng = np.random.default_rng(0)
    cells = squares(rng.uniform([10_000, 10_000], [70_000, 50_000], (5000, 2)), 30)
    density = heat.density_per_mm2(far, far.height, far.width, cells.centroids)
    assert density.sum() * far.mpp**2 * 1e-6 == pytest.approx(5000, rel=1e-4)


def test_very_many_large_cells_become_a_density(close, monkeypatch):
    monkeypatch.setattr(overview, "OUTLINES_MOST", 3)
    picture = draw_overview(glass(close), close, shapely.MultiPolygon(), squares([[400, 300]] * 4, 100), {})
    assert not is_colour(picture[150, 174:176].mean(0), CELL, 90)


def test_a_slide_without_tissue_is_the_thumbnail_with_a_scale_bar(close):
    def never(rect, width, height):
        raise AssertionError("no field without cells")

    picture = draw_overview(glass(close), close, shapely.MultiPolygon(), squares([], 1), {}, never)
    assert picture.shape == (300, 400, 3)
    assert (picture == 0).all(2).any()
    assert (picture[:200] == GREY).all()


def test_the_field_stands_beside_the_thumbnail_with_and_without_outlines(close):
    asked = []

    def read(rect, width, height):
        asked.append((rect, width, height))
        return np.full((height, width, 3), 150, np.uint8)

    cells = squares([[600, 400], [620, 420], [640, 380], [100, 100]], 40)
    picture = draw_overview(glass(close), close, shapely.MultiPolygon(), cells, {}, read)
    ((rect, width, height),) = asked
    assert width == height == 384
    assert rect.width == rect.height == 512  # 256 µm of 0.5 µm
    assert picture.shape == (300 + 12 + 384, 384 * 2 + 12, 3)
    drawn, plain = picture[312:, :384], picture[312:, 396:]
    x, y = (np.array([600 - 20, 400]) - rect[:2]) * 384 / 512
    assert is_colour(drawn[int(y), int(x)], CELL, 90) or is_colour(drawn[int(y), int(x) - 1], CELL, 90)
    assert plain[int(y), int(x)].tolist() == [150] * 3
    marked = picture[:300, :400]
    assert is_colour(marked[150, round(rect.x0 / 2)], FIELD)


def test_a_field_that_cannot_be_read_is_left_out(close):
    def broken(rect, width, height):
        raise SlideError("broken tile")

    picture = draw_overview(glass(close), close, shapely.MultiPolygon(), squares([[400, 300]], 100), {}, broken)
    assert picture.shape == (300, 400, 3)


def test_a_tall_picture_has_its_field_to_the_right():
    frame = Frame.at(1.0, 600, 1600, 0.5, 0.5)

    def read(rect, width, height):
        return np.full((height, width, 3), 150, np.uint8)

    picture = draw_overview(glass(frame), frame, shapely.MultiPolygon(), squares([[400, 300]], 100), {}, read)
    side = (800 - 12) // 2
    assert picture.shape == (800, 300 + 12 + side, 3)


def test_densest_field_holds_the_crowd(far):
    rng = np.random.default_rng(3)
    crowd = rng.normal([50_000, 12_000], 100, (300, 2))
    cells = squares(np.concatenate([rng.uniform(0, 60_000, (1000, 2)), crowd]), 30)
    field = densest_field(far, cells.centroids)
    assert field.width == pytest.approx(1024)
    inside = (crowd >= field[:2]) & (crowd < field[2:])
    assert inside.all(1).mean() > 0.95


@pytest.mark.parametrize("corner", [(0, 0), (79_999, 59_999), (79_999, 0)])
def test_densest_field_stays_in_the_slide(far, corner):
    field = densest_field(far, squares([corner], 10).centroids)
    assert field.x0 >= 0
    assert field.y0 >= 0
    assert field.x1 <= 80_000 + 1e-6
    assert field.y1 <= 60_000 + 1e-6
    assert field.x0 <= corner[0] <= field.x1
    assert field.y0 <= corner[1] <= field.y1


def test_densest_field_is_square_in_um():
    frame = Frame.at(2.0, 8000, 8000, 0.5, 0.25)
    field = densest_field(frame, squares([[4000, 4000]], 10).centroids)
    assert field.width * 0.5 == pytest.approx(256)
    assert field.height * 0.25 == pytest.approx(256)


def test_densest_field_of_a_tiny_slide_is_its_shorter_side():
    field = densest_field(Frame.at(0.5, 300, 100, 0.5, 0.5), squares([[250, 50]], 10).centroids)
    assert (field.width, field.height) == (100, 100)
    assert field.x0 <= 250 <= field.x1 <= 300


@pytest.mark.parametrize(("number", "up"), [(1, 1), (1.01, 2), (2, 2), (3, 5), (7, 10), (0.03, 0.05), (999, 1000)])
def test_round_up(number, up):
    assert heat.round_up(number) == pytest.approx(up)


@pytest.mark.parametrize(("mpp", "width", "length_um"), [(0.5, 1000, 50), (10.0, 1600, 2500)])
def test_the_scale_bar_is_as_long_as_it_says(mpp, width, length_um):
    image = Image.new("RGB", (width, 400), (90, 90, 90))
    overview._draw_scale_bar(image, mpp, 20)
    black = (np.asarray(image) == 0).all(2)
    assert black.sum(1).max() == round(length_um / mpp)


def test_units_are_written_as_wide_as_they_measure():
    image = Image.new("RGB", (300, 40), "white")
    draw = ImageDraw.Draw(image)
    end = write(draw, (5, 5), "12 µm, mm²", 20, (0, 0, 0))
    assert end == pytest.approx(5 + width_of(draw, "12 µm, mm²", 20))
    inked = np.flatnonzero((np.asarray(image) < 128).all(2).any(0))
    assert inked.min() >= 5
    assert inked.max() <= end


def test_artefacts_are_drawn_in_their_own_colour(close):
    area, nothing = shapely.box(100, 100, 300, 300), squares([], 1)
    picture = draw_overview(glass(close), close, shapely.MultiPolygon(), nothing, {}, artefacts=area)
    grey = (picture == colour_of("Artefact")).all(axis=2)
    assert grey[60:140, 48:53].any(axis=1).all()
    assert not grey[60:140, 55:145].any()
    without = draw_overview(glass(close), close, shapely.MultiPolygon(), nothing, {}, artefacts=shapely.MultiPolygon())
    assert not (without == colour_of("Artefact")).all(axis=2).any()


def test_the_overview_is_saved_as_png(tmp_path, close):
    class Info:
        width, height = 800, 600
        scale = type("Scale", (), {"x": 0.5, "y": 0.5})

        def frame(self, mpp):
            return Frame.at(mpp, 800, 600, 0.5, 0.5)

    class Slide:
        info = Info()

        def read(self, rect: Rect, width: int, height: int):
            return np.full((height, width, 3), GREY, np.uint8)

    path = tmp_path / "overview.png"
    cells = squares([[400, 300]], 50)
    overview.save_overview(path, Slide(), shapely.MultiPolygon([shapely.box(0, 0, 700, 500)]), cells, {})
    first = path.read_bytes()
    overview.save_overview(path, Slide(), shapely.MultiPolygon([shapely.box(0, 0, 700, 500)]), cells, {})
    assert path.read_bytes() == first
    with Image.open(path) as image:
        assert image.size == (800, 600 + 12 + 394)
    assert [each.name for each in tmp_path.iterdir()] == ["overview.png"]
