from __future__ import annotations

import re

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.errors import ConfigError
from pathopipe.geometry import Box, Frame
from pathopipe.tiling.grid import GridSpec, TileGrid
from pathopipe.tiling.tissue import Tissue


@st.composite
def grids(draw):
    stride = draw(st.sampled_from([1, 4, 8, 32]))
    halo = stride * draw(st.integers(0, 3))
    least = max(1, -(-(64 - 2 * halo) // stride))
    core = stride * draw(st.integers(least, least + 12))
    width, height = draw(st.integers(1, 1500)), draw(st.integers(1, 1500))
    spec = GridSpec(tile_px=core + 2 * halo, halo_px=draw(st.sampled_from([None, halo])))
    return TileGrid.cover(width, height, spec, halo, stride), stride, spec


def tissue_of(shape) -> Tissue:
    parts = [part for part in shapely.get_parts(shape) if isinstance(part, shapely.Polygon)]
    polygons = shapely.MultiPolygon([part for part in parts if not part.is_empty])
    picture = np.full((1, 1, 3), 255, np.uint8)
    return Tissue(polygons, 0.0, 0.0, picture, Frame(1, 1, 8.0, 16.0, 16.0))


@given(grids())
@settings(deadline=None, max_examples=60)
def test_cores_cover_every_pixel_exactly_once(made):
    grid, _, _ = made
    times = np.zeros((grid.rows * grid.core_px, grid.cols * grid.core_px), np.uint8)
    for tile in grid:
        times[tile.core.y0 : tile.core.y1, tile.core.x0 : tile.core.x1] += 1
    assert (times == 1).all()
    assert times.shape[0] >= grid.height
    assert times.shape[1] >= grid.width
    # No row or column of tiles that lies outside altogether.
    assert (grid.rows - 1) * grid.core_px < grid.height
    assert (grid.cols - 1) * grid.core_px < grid.width


@given(grids())
@settings(deadline=None, max_examples=60)
def test_tiles_have_one_shape_and_read_contains_core(made):
    grid, stride, spec = made
    names = set()
    for tile in grid:
        assert tile.read.contains(tile.core)
        assert tile.read == tile.core.grown(grid.halo_px)
        assert tile.read.width == tile.read.height <= spec.tile_px
        assert all(value % stride == 0 for value in (*tile.core, *tile.read))
        names.add(tile.name)
    assert len(names) == len(grid)


@given(grids())
@settings(deadline=None, max_examples=60)
def test_there_are_as_few_tiles_as_fit_and_no_smaller_core_would_do(made):
    grid, stride, spec = made
    most = spec.tile_px - 2 * grid.halo_px
    assert (grid.rows, grid.cols) == (-(-grid.height // most), -(-grid.width // most))
    smaller = grid.core_px - stride
    assert grid.rows * smaller < grid.height or grid.cols * smaller < grid.width


def test_a_tile_outside_is_an_error():
    grid = TileGrid.cover(100, 100, GridSpec(tile_px=64, halo_px=0), 0)
    for row, col in ((-1, 0), (0, -1), (2, 0), (0, 2)):
        with pytest.raises(IndexError, match="no tile"):
            grid.tile(row, col)


@pytest.mark.parametrize(
    ("spec", "halo", "stride"),
    [(GridSpec(tile_px=64), 32, 1), (GridSpec(tile_px=128, halo_px=80), 0, 1), (GridSpec(tile_px=1000), 64, 32),
     (GridSpec(tile_px=1024, halo_px=50), 0, 32), (GridSpec(tile_px=64), 30, 8)],
)  # fmt: skip
def test_a_grid_that_does_not_fit_is_refused_with_a_cure_that_works(spec, halo, stride):
    with pytest.raises(ConfigError, match=r"grid\.tile_px") as told:
        TileGrid.cover(5000, 5000, spec, halo, stride)
    cure = {key: int(value) for key, value in re.findall(r"grid\.(\w+)=(\d+)", str(told.value).rpartition("use ")[2])}
    assert "tile_px" in cure
    TileGrid.cover(5000, 5000, GridSpec(**{**spec.model_dump(), **cure}), halo, stride)


@given(st.integers(64, 600), st.integers(0, 200), st.sampled_from([1, 4, 8, 32]))
@settings(deadline=None, max_examples=200)
def test_the_cure_of_every_refused_grid_works(tile_px, halo, stride):
    try:
        TileGrid.cover(5000, 5000, GridSpec(tile_px=tile_px), halo, stride)
    except ConfigError as error:
        cure = dict(re.findall(r"grid\.(\w+)=(\d+)", str(error).rpartition("use ")[2]))
        TileGrid.cover(5000, 5000, GridSpec(**{key: int(value) for key, value in cure.items()}), halo, stride)


def shapes():
    corner = st.floats(-100, 2100, allow_nan=False)
    point = st.tuples(corner, corner)
    blob = st.builds(lambda at, radius: shapely.Point(at).buffer(radius, quad_segs=3), point, st.floats(0.5, 600))
    ring = st.builds(
        lambda at, radius: shapely.Point(at).buffer(radius).difference(shapely.Point(at).buffer(radius * 0.8)),
        point,
        st.floats(10, 900),
    )
    return st.lists(st.one_of(blob, ring), max_size=3).map(shapely.union_all)


@given(shapes(), st.floats(0.3, 4), st.floats(0.3, 4))
@settings(deadline=None, max_examples=60)
def test_touching_are_the_tiles_whose_core_meets_tissue(shape, scale_x, scale_y):
    frame = Frame(int(2000 / scale_x), int(2000 / scale_y), 0.5, scale_x, scale_y)
    grid = TileGrid.cover(frame.width, frame.height, GridSpec(tile_px=128, halo_px=16), 0)
    tissue = tissue_of(shape)
    wanted = [tile for tile in grid if tissue.polygons.intersects(shapely.box(*frame.to_level0(tile.core)))]
    assert list(grid.touching(tissue, frame)) == wanted


def test_a_slide_without_tissue_has_no_tiles():
    frame = Frame(1000, 1000, 0.5, 1.0, 1.0)
    grid = TileGrid.cover(1000, 1000, GridSpec(tile_px=128), 16)
    assert grid.touching(tissue_of(shapely.MultiPolygon()), frame) == ()


def test_a_tile_is_chosen_by_its_core_not_its_halo():
    frame = Frame(960, 960, 0.5, 2.0, 2.0)
    grid = TileGrid.cover(960, 960, GridSpec(tile_px=128, halo_px=16), 0)  # cores of 96 px, 192 on level 0
    (tile,) = grid.touching(tissue_of(shapely.box(193, 10, 383, 180)), frame)
    assert (tile.row, tile.col) == (0, 1)
    assert tile.core == Box(96, 0, 192, 96)


def test_a_hundred_thousand_tiles_are_chosen_quickly():
    frame = Frame(100_000, 100_000, 0.5, 1.0, 1.0)
    grid = TileGrid.cover(100_000, 100_000, GridSpec(tile_px=320, halo_px=0), 0)
    angles = np.linspace(0, 2 * np.pi, 20_000)
    radius = 40_000 + 2000 * np.sin(angles * 300)
    outline = shapely.Polygon(np.stack([50_000 + radius * np.cos(angles), 50_000 + radius * np.sin(angles)], 1))
    tiles = grid.touching(tissue_of(outline), frame)
    assert 45_000 < len(tiles) < len(grid)
    assert [(tile.row, tile.col) for tile in tiles] == sorted((tile.row, tile.col) for tile in tiles)


CROPPED = {"tile_px": 512, "halo_px": 16}


def cropped_grid(frame, margin_px=40, **settings):
    return TileGrid.cover(frame.width, frame.height, GridSpec(**CROPPED | settings), 0, 8, margin_px)


@given(shapes(), st.floats(0.3, 4), st.floats(0.3, 4), st.integers(0, 200))
@settings(deadline=None, max_examples=60)
def test_cropped_cores_hold_the_tissue_and_a_margin_and_no_more(shape, scale_x, scale_y, margin):
    frame = Frame(int(2000 / scale_x), int(2000 / scale_y), 0.5, scale_x, scale_y)
    grid, tissue = cropped_grid(frame, margin), tissue_of(shape)
    tiles = grid.touching(tissue, frame)
    whole = cropped_grid(frame, margin, crop=False).touching(tissue, frame)
    assert [(tile.row, tile.col, tile.square, tile.whole) for tile in tiles] == [
        (tile.row, tile.col, tile.core, tile.read) for tile in whole
    ]
    in_frame = shapely.transform(tissue.polygons, lambda xy: xy / [scale_x, scale_y])
    for tile in tiles:
        around = np.array(shapely.intersection(in_frame, shapely.box(*tile.square.grown(margin))).bounds)
        wanted = np.clip(
            around + margin * np.array([-1, -1, 1, 1]), *np.array(tile.square).reshape(2, 2)[:, [0, 1, 0, 1]]
        )
        slack = (wanted - tile.core) * (1, 1, -1, -1)
        assert (slack >= -1e-6).all()
        assert (slack < grid.step_px).all()
        assert tile.read == tile.core.grown(grid.halo_px)
        assert tile.square.contains(tile.core)
        assert tile.core.area > 0
        assert all(value % 8 == 0 for value in tile.core)
        assert tile.cropped == tuple(np.array(tile.core) != tile.square)


@pytest.mark.parametrize(
    ("pieces", "cores"),
    [
        pytest.param([(480, 100, 700, 300)], {(0, 0): (384, 0, 480, 384), (0, 1): (480, 0, 768, 384)},
                     id="up to a grid line from its right"),
        pytest.param([(100, 480, 300, 480)], {(0, 0): (0, 384, 384, 480), (1, 0): (0, 480, 384, 576)},
                     id="a line on a grid line"),
        pytest.param([(240, 240, 241, 241)], {(0, 0): (192, 192, 320, 320)}, id="a speck"),
        pytest.param([(0, 0, 3, 3), (300, 64, 310, 66)], {(0, 0): (0, 0, 384, 128)}, id="two pieces in one square"),
        pytest.param([(950, 950, 960, 960)], {(1, 1): (896, 896, 960, 960)}, id="in the slide's corner"),
        pytest.param([(10, 10, 40, 40), (500, 100, 600, 110)],
                     {(0, 0): (0, 0, 480, 192), (0, 1): (480, 0, 640, 192)}, id="beyond the square, within the margin"),
        pytest.param([(0, 0, 960, 960)], {(r, c): (480 * c, 480 * r, 480 * c + 480, 480 * r + 480)
                                          for r in (0, 1) for c in (0, 1)}, id="the whole slide"),
    ],
)  # fmt: skip
def test_what_a_tile_answers_for(pieces, cores):
    frame = Frame(960, 960, 0.5, 2.0, 2.0)
    boxes = [shapely.box(*np.array(piece) * 2.0) for piece in pieces]
    boxes = [box if box.area else shapely.buffer(box, 1e-9) for box in boxes]
    tissue = tissue_of(shapely.union_all(boxes))
    found = {(tile.row, tile.col): tuple(tile.core) for tile in cropped_grid(frame).touching(tissue, frame)}
    assert found == cores


@given(shapes(), st.lists(st.tuples(*[st.floats(-50, 2050)] * 2, *[st.floats(1, 900)] * 2), min_size=1, max_size=8))
@settings(deadline=None, max_examples=60)
def test_bounds_are_those_of_the_tissue_in_each_rectangle(shape, made):
    rects = np.array([(x, y, x + width, y + height) for x, y, width, height in made])
    tissue = tissue_of(shape)
    parts = [shapely.intersection(tissue.polygons, shapely.box(*rect)) for rect in rects]
    expected = np.array([part.bounds if not part.is_empty else (np.nan,) * 4 for part in parts])
    assert np.allclose(tissue.bounds_in(rects), expected, atol=1e-6, equal_nan=True)


def test_the_tiles_of_ragged_tissue_are_cropped_quickly():
    frame = Frame(100_000, 100_000, 0.5, 1.0, 1.0)
    angles = np.linspace(0, 2 * np.pi, 20_000)
    radius = 40_000 + 2000 * np.sin(angles * 300)
    outline = shapely.Polygon(np.stack([50_000 + radius * np.cos(angles), 50_000 + radius * np.sin(angles)], 1))
    grid = TileGrid.cover(100_000, 100_000, GridSpec(), 64, 8, 128)
    tiles = grid.touching(tissue_of(outline), frame)
    read, whole = (sum(box.area for box in boxes) for boxes in ([t.read for t in tiles], [t.whole for t in tiles]))
    assert outline.area < read < 0.97 * whole
