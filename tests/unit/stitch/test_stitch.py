from __future__ import annotations

import time
from unittest import mock

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.errors import HaloTooSmallError
from pathopipe.geometry import Frame, Outlines
from pathopipe.instances import Instances
from pathopipe.stitch.spec import StitchSpec
from pathopipe.stitch.stitch import inside, stitch
from pathopipe.tiling.grid import GridSpec, TileGrid
from pathopipe.tiling.tissue import Tissue
from tests.support.drawn import cut, draw_nuclei, labelled, missed_and_doubled

SPEC = StitchSpec()


def stitched(parts, frame, spec):
    found = dict(parts)
    reported = stitch([tile for tile, _ in parts], found.__getitem__, frame, spec)
    return Instances.concat(part.instances for part in reported)


def frame_of(side, mpp_x=0.25, mpp_y=0.25, mpp=0.5):
    return Frame.at(mpp, round(side * mpp / mpp_x), round(side * mpp / mpp_y), mpp_x, mpp_y)


def grid_of(frame, tile_px, halo_px):
    return TileGrid.cover(frame.width, frame.height, GridSpec(tile_px=tile_px, halo_px=halo_px), halo_px)


def same(one, other):
    return (
        one.outlines.coords.tobytes() == other.outlines.coords.tobytes()
        and np.array_equal(one.outlines.offsets, other.outlines.offsets)
        and np.array_equal(one.score, other.score)
        and np.array_equal(one.measurements["truth"], other.measurements["truth"])
    )


def blob(x, y, radius=6.0, score=0.9):
    """Return one round nucleus in working pixels as a ring, with its score."""
    angle = np.arange(32) * (2 * np.pi / 32)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=-1), score


def found(frame, *blobs):
    outlines = Outlines.of(ring for ring, _ in blobs)
    instances = labelled(outlines, np.arange(len(blobs)), frame, np.random.default_rng(0))
    scores = np.array([score for _, score in blobs], np.float32)
    return Instances(instances.outlines, scores, instances.class_id, instances.classes, instances.measurements)


@pytest.mark.parametrize("tile_px", [192, 256, 448])
@pytest.mark.parametrize(("mpp_x", "mpp_y"), [(0.25, 0.25), (0.5, 0.4)])
def test_every_drawn_nucleus_is_there_exactly_once(tile_px, mpp_x, mpp_y):
    frame = frame_of(1500, mpp_x, mpp_y)
    truth = draw_nuclei(np.random.default_rng(tile_px), 1500)
    seen = cut(truth, frame, grid_of(frame, tile_px, 32), np.random.default_rng(1))
    result = stitched(seen.parts, frame, SPEC)
    assert len(truth) > 4000
    assert missed_and_doubled(result, len(truth)) == (0, 0)


def test_the_usual_rules_miss_or_double_some_of_them():
    """What the rule is for: the drawn nuclei are hard enough that its parts are needed."""
    frame = frame_of(1500)
    truth = draw_nuclei(np.random.default_rng(256), 1500)
    seen = cut(truth, frame, grid_of(frame, 256, 32), np.random.default_rng(1))
    by_centroid = stitched(seen.parts, frame, StitchSpec(seam_margin_um=1e-6))
    never_same = stitched(seen.parts, frame, StitchSpec(same_iou=0.99, same_within=1))
    assert missed_and_doubled(by_centroid, len(truth))[0] > 5
    assert missed_and_doubled(never_same, len(truth))[1] > 100


def test_without_noise_the_truth_comes_back_whatever_the_tile_size():
    frame = frame_of(1200)
    truth = draw_nuclei(np.random.default_rng(3), 1200)
    for tile_px in (160, 256, 512):
        seen = cut(truth, frame, grid_of(frame, tile_px, 40), np.random.default_rng(0), noise_px=0)
        result = stitched(seen.parts, frame, SPEC)
        assert missed_and_doubled(result, len(truth)) == (0, 0)
        order = result.measurements["truth"].astype(int)
        assert np.allclose(result.outlines.areas(), 4 * truth.areas()[order], rtol=1e-3)


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    core_px=st.integers(70, 300),
    halo_px=st.integers(28, 60),
    margin_um=st.floats(1.0, 4.0),
    side=st.integers(300, 700),
    mpp=st.sampled_from([(0.25, 0.25), (0.5, 0.5), (0.23, 0.46)]),
)
def test_no_grid_misses_or_doubles(seed, core_px, halo_px, margin_um, side, mpp):
    rng = np.random.default_rng(seed)
    frame = frame_of(side, *mpp)
    truth = draw_nuclei(rng, side, radius=(6.0, 12.0))
    seen = cut(truth, frame, grid_of(frame, core_px + 2 * halo_px, halo_px), rng, noise_px=0.5)
    result = stitched(seen.parts, frame, StitchSpec(seam_margin_um=margin_um))
    assert missed_and_doubled(result, len(truth)) == (0, 0)


@settings(deadline=None, max_examples=10)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_order_of_the_parts_does_not_matter(seed):
    rng = np.random.default_rng(seed)
    frame = frame_of(500)
    seen = cut(draw_nuclei(rng, 500), frame, grid_of(frame, 192, 32), rng)
    expected = stitched(seen.parts, frame, SPEC)
    shuffled = [seen.parts[index] for index in rng.permutation(len(seen.parts))]
    assert same(stitched(shuffled, frame, SPEC), expected)


def whole_stitch(parts, frame, spec):
    """Return (tile, truth) of what stays by the rule as it is told, all tiles at once and every pair compared."""
    cells = []
    for tile, instances in sorted(parts, key=lambda part: (part[0].row, part[0].col)):
        scale = np.array([frame.scale_x, frame.scale_y])
        margin, read = spec.seam_margin_um / frame.mpp, np.array(tile.read)
        core = shapely.box(*np.array(tile.core) + margin * np.array([-1, -1, 1, 1]))
        ends = np.array([read[0] <= 0, read[1] <= 0, read[2] >= frame.width, read[3] >= frame.height])
        centres = instances.outlines.centroids() / scale
        for cell in sorted(range(len(instances)), key=lambda cell: tuple(centres[cell][::-1])):
            if not core.covers(shapely.Point(centres[cell])):
                continue
            polygon = shapely.Polygon(instances.outlines.ring(cell))
            distance = (np.array(polygon.bounds) / np.tile(scale, 2) - read) * (1, 1, -1, -1)
            seen = np.float32(np.where(ends, np.inf, distance).min())
            truth = int(instances.measurements["truth"][cell])
            cells.append((-seen, -instances.score[cell], len(cells), tile, truth, shapely.make_valid(polygon)))
    gone = set()
    for better in sorted(cells, key=lambda cell: cell[:3]):
        if better[2] in gone:
            continue
        for worse in cells:
            if worse[:3] > better[:3] and worse[3] != better[3] and better[5].intersects(worse[5]):
                shared, areas = better[5].intersection(worse[5]).area, (better[5].area, worse[5].area)
                if shared > 0 and (
                    shared >= spec.same_iou * (sum(areas) - shared) or shared >= spec.same_within * min(areas)
                ):
                    gone.add(worse[2])
    return [cell[4] for cell in cells if cell[2] not in gone]


@settings(deadline=None, max_examples=25)
@given(
    seed=st.integers(0, 2**32 - 1),
    core_px=st.integers(24, 120),
    halo_px=st.integers(20, 40),
    noise_px=st.floats(0.3, 3.0),
    missing=st.floats(0, 0.5),
    wide=st.booleans(),
)
def test_row_by_row_is_the_same_as_all_at_once(seed, core_px, halo_px, noise_px, missing, wide):
    """Small cores in wide halos, so that three rows and more see one nucleus; noise, so that chains come about."""
    rng = np.random.default_rng(seed)
    frame = frame_of(200)
    truth = draw_nuclei(rng, 200, radius=(6.0, 12.0), most_overlap=0.6)
    grid = grid_of(frame, core_px + 2 * halo_px, halo_px)
    seen = cut(truth, frame, grid, rng, noise_px=noise_px)
    parts = [part for part in seen.parts if rng.random() >= missing]
    spec = StitchSpec(seam_margin_um=8.0 if wide else 2.0, same_iou=0.1 if wide else 0.25)
    expected = whole_stitch(parts, frame, spec)
    with mock.patch("pathopipe.stitch.stitch.needed_halo", return_value=0):
        reported = list(stitch([t for t, _ in parts], dict(parts).get, frame, spec))
        found = [part.instances.measurements["truth"] for part in reported]
        for part in reported:
            told = dict(parts)[part.tile].take(part.index)
            assert np.array_equal(told.outlines.coords, part.instances.outlines.coords)
    assert [int(each) for each in np.concatenate([*found, []])] == expected


def test_two_rows_of_tiles_are_kept_in_memory():
    frame = frame_of(1200)
    grid = grid_of(frame, 128, 24)
    seen = cut(draw_nuclei(np.random.default_rng(0), 1200), frame, grid, np.random.default_rng(1))
    asked, ahead = [], []

    def found(tile):
        asked.append(tile.row)
        return dict(seen.parts)[tile]

    for number, _ in enumerate(stitch(grid, found, frame, SPEC)):
        ahead.append(asked[-1] - number // grid.cols)
    assert len(ahead) == len(grid)
    assert max(ahead) == 1


def test_the_better_seen_view_stays_unchanged():
    frame = frame_of(256)
    grid = grid_of(frame, 192, 32)  # seam at x = 128; the tiles read up to 160 and from 96
    left, right = grid.tile(0, 0), grid.tile(0, 1)
    view_left, view_right = blob(130.0, 60, 7), blob(130.4, 60, 6.5)
    result = stitched([(left, found(frame, view_left)), (right, found(frame, view_right))], frame, SPEC)
    assert len(result) == 1
    assert np.allclose(result.outlines.ring(0), frame.points_to_level0(view_right[0]))


def test_where_two_views_are_as_good_the_higher_score_stays():
    frame = frame_of(256)
    grid = grid_of(frame, 192, 32)
    views = [(grid.tile(0, 0), found(frame, blob(128, 60, score=0.7)))]
    views += [(grid.tile(0, 1), found(frame, blob(128, 60, score=0.8)))]
    assert stitched(views, frame, SPEC).score.tolist() == pytest.approx([0.8])


def test_interior_instances_are_never_compared():
    """Two outlines of one tile stay both, even the same one twice: that is the model's affair."""
    frame = frame_of(256)
    grid = grid_of(frame, 192, 32)
    twice = found(frame, blob(60, 60), blob(60, 60))
    assert len(stitched([(grid.tile(0, 0), twice)], frame, SPEC)) == 2
    at_seam = found(frame, blob(126, 60), blob(126, 60))
    assert len(stitched([(grid.tile(0, 0), at_seam)], frame, SPEC)) == 2


def test_a_small_nucleus_beside_a_large_one_stays():
    """Half of the small one lies under the large one, which is no reason to take them for one nucleus."""
    frame = frame_of(256)
    grid = grid_of(frame, 192, 32)
    left = found(frame, blob(123, 60, 10))
    right = found(frame, blob(131.5, 60, 4))
    assert len(stitched([(grid.tile(0, 0), left), (grid.tile(0, 1), right)], frame, SPEC)) == 2


def test_a_piece_goes_where_another_tile_saw_the_whole():
    frame = frame_of(256)
    grid = grid_of(frame, 192, 32)
    whole, piece = found(frame, blob(129, 60, 12)), found(frame, blob(126, 58, 4))
    assert len(stitched([(grid.tile(0, 0), piece), (grid.tile(0, 1), whole)], frame, SPEC)) == 1


def test_in_a_chain_the_third_stays():
    frame = frame_of(256)
    grid = grid_of(frame, 192, 32)
    # The left tile sees two, of which the second reaches far towards its border; the right one blob over both.
    tall = np.array([[124, 20], [131, 20], [131, 156], [124, 156]], float), 0.9
    left = found(frame, blob(121, 60, 6), tall)
    right = found(frame, (np.array([[119, 20], [131, 20], [131, 66], [119, 66]], float), 0.8))
    result = stitched([(grid.tile(0, 0), left), (grid.tile(0, 1), right)], frame, SPEC)
    assert len(left) + len(right) == 3
    assert result.measurements["truth"].tolist() == [0, 1]


def test_a_nucleus_beyond_the_core_towards_a_tile_that_is_not_analysed_stays():
    frame = frame_of(256)
    grid = grid_of(frame, 192, 32)
    inside_margin, outside_margin = blob(130, 60), blob(140, 60)
    result = stitched([(grid.tile(0, 0), found(frame, inside_margin, outside_margin))], frame, SPEC)
    assert result.measurements["truth"].tolist() == [0]


def test_an_instance_that_is_cut_says_how_large_the_halo_must_be():
    frame = frame_of(256)
    grid = grid_of(frame, 192, 32)
    angle = np.arange(64) * (2 * np.pi / 64)
    ring = np.stack([np.minimum(120 + 50 * np.cos(angle), 160), 60 + 8 * np.sin(angle)], axis=-1)
    with pytest.raises(HaloTooSmallError) as caught:
        stitched([(grid.tile(0, 0), found(frame, (ring, 0.9)))], frame, SPEC)
    assert caught.value.halo_px == 32
    assert caught.value.needed_px % 16 == 0
    assert caught.value.needed_px >= 120 + 50 - 128
    larger = grid_of(frame, 128 + 2 * caught.value.needed_px, caught.value.needed_px)
    whole = np.stack([120 + 50 * np.cos(angle), 60 + 8 * np.sin(angle)], axis=-1)
    assert len(stitched([(larger.tile(0, 0), found(frame, (whole, 0.9)))], frame, SPEC)) == 1


def test_a_cut_view_is_no_error_where_another_tile_saw_the_whole():
    frame = frame_of(256)
    grid = grid_of(frame, 192, 32)
    angle = np.arange(64) * (2 * np.pi / 64)
    whole = np.stack([129 + 34 * np.cos(angle), 60 + 8 * np.sin(angle)], axis=-1)
    shifted = whole + np.array([2, 0])
    left = found(frame, (np.minimum(shifted, [160, 1e9]), 0.9))
    right = found(frame, (shifted, 0.9))
    # The left tile sees it cut at 160 and its centroid just inside the margin; the right sees 97 to 165 whole.
    result = stitched([(grid.tile(0, 0), left), (grid.tile(0, 1), right)], frame, SPEC)
    assert result.outlines.bounds()[:, 2].tolist() == pytest.approx([330])


def test_at_the_slide_s_own_edge_nothing_is_cut():
    frame = frame_of(192)
    grid = grid_of(frame, 256, 32)
    angle = np.arange(64) * (2 * np.pi / 64)
    ring = np.stack([np.clip(60 * np.cos(angle), -32, None), 60 + 9 * np.sin(angle)], axis=-1)
    assert len(stitched([(grid.tile(0, 0), found(frame, (ring, 0.9)))], frame, SPEC)) == 1


def test_no_tiles_are_no_instances():
    assert list(stitch([], {}.__getitem__, frame_of(100), SPEC)) == []


def test_tiles_of_two_models_are_refused():
    frame = frame_of(256)
    grid = grid_of(frame, 192, 32)
    one = found(frame, blob(60, 60))
    other = Instances(one.outlines, one.score, one.class_id, ("Tumor",), one.measurements)
    with pytest.raises(ValueError, match="differ from others in their classes"):
        stitched([(grid.tile(0, 0), one), (grid.tile(1, 0), other)], frame, SPEC)


def test_a_tile_that_comes_twice_is_refused():
    frame = frame_of(256)
    tile = grid_of(frame, 192, 32).tile(0, 0)
    with pytest.raises(ValueError, match="r0000_c0000 comes twice"):
        stitched([(tile, found(frame, blob(50, 50)))] * 2, frame, SPEC)


def test_a_coordinate_that_is_not_finite_is_refused():
    frame = frame_of(256)
    tile = grid_of(frame, 192, 32).tile(0, 0)
    broken = found(frame, blob(np.nan, 50))
    with pytest.raises(ValueError, match="not finite"):
        stitched([(tile, broken)], frame, SPEC)


def test_a_bow_tie_at_a_seam_is_compared_like_any_other():
    frame = frame_of(256)
    grid = grid_of(frame, 192, 32)
    bow = np.array([[120, 50], [136, 66], [136, 50], [120, 66], [119, 66], [119, 50]], float)
    result = stitched([(grid.tile(0, col), found(frame, (bow, 0.9))) for col in (0, 1)], frame, SPEC)
    assert len(result) == 1


def test_inside_is_what_shapely_says_with_holes_and_several_pieces():
    rng = np.random.default_rng(5)
    frame = frame_of(600)
    truth = draw_nuclei(rng, 600)
    cells = labelled(truth, np.arange(len(truth)), frame, rng)
    ring = shapely.Point(400, 400).buffer(300).difference(shapely.Point(400, 400).buffer(120))
    pieces = shapely.multipolygons([ring, shapely.box(800, 800, 1200, 1000)])
    expected = [pieces.intersects(shapely.Point(*xy)) for xy in cells.outlines.centroids()]
    assert inside(cells, pieces).tolist() == expected
    assert 0 < sum(expected) < len(expected)
    assert not inside(cells, shapely.MultiPolygon()).any()
    assert inside(Instances.empty(("Nucleus",)), pieces).shape == (0,)


def test_a_hundred_thousand_cells_take_seconds():
    rng = np.random.default_rng(11)
    side = 2200
    frame = frame_of(side)
    block = draw_nuclei(rng, side, radius=(6.0, 12.0))
    grid = grid_of(frame, 512, 64)
    seen = cut(block, frame, grid, rng)
    start = time.process_time()
    result = stitched(seen.parts, frame, SPEC)
    per_cell = (time.process_time() - start) / len(result)
    assert len(result) == len(block)
    assert per_cell * 100_000 < 20


def seen_in(instances, box, frame):
    """Return what of ``instances`` a tile sees that reads ``box`` alone."""
    rect = frame.to_level0(box)
    cut_off = shapely.clip_by_rect(shapely.make_valid(instances.outlines.to_shapely()), *rect)
    whole = shapely.covers(shapely.box(*rect), instances.outlines.to_shapely())
    rings, kept = [], []
    for index, piece in enumerate(cut_off):
        if whole[index] or (piece.geom_type == "Polygon" and piece.area > 12):
            rings.append(
                instances.outlines.ring(index) if whole[index] else shapely.get_coordinates(piece.exterior)[:-1]
            )
            kept.append(index)
    return instances.take(np.array(kept, int)).with_outlines(Outlines.of(rings))


@settings(deadline=None, max_examples=10)
@given(
    seed=st.integers(0, 2**32 - 1),
    core_px=st.integers(80, 200),
    halo_px=st.integers(28, 60),
    pieces=st.integers(1, 4),
    noise_px=st.floats(0, 1.5),
)
def test_cropped_tiles_report_what_whole_ones_do_in_the_tissue(seed, core_px, halo_px, pieces, noise_px):
    """Seams run through the tissue, along its edge and past it; cells lie beside it too."""
    rng = np.random.default_rng(seed)
    side = 420
    frame = frame_of(side, 0.25, 0.25)
    boxes = [(x, y, x + w, y + h) for x, y, w, h in rng.uniform(0, side, (pieces, 4)) * (1, 1, 0.4, 0.4)]
    shape = shapely.union_all([shapely.box(*np.round(np.array(box)) * 2) for box in boxes])
    picture = np.zeros((1, 1, 3), np.uint8)
    tissue = Tissue(shapely.multipolygons(shapely.get_parts(shape)), 0.0, 0.0, picture, Frame(1, 1, 8.0, 32.0, 32.0))
    spec = GridSpec(tile_px=core_px + 2 * halo_px, halo_px=halo_px)
    whole, cropped = (
        TileGrid.cover(frame.width, frame.height, spec, halo_px, 1, margin).touching(tissue, frame)
        for margin in (None, 64)
    )
    truth = draw_nuclei(rng, side, radius=(5.0, 12.0), most_overlap=0.4)
    seen = dict(cut(truth, frame, whole, rng, noise_px=noise_px).parts)
    less = [(tile, seen_in(seen[one], tile.read, frame)) for tile, one in zip(cropped, whole, strict=True)]
    expected = stitched([(tile, seen[tile]) for tile in whole], frame, SPEC)
    found = stitched(less, frame, SPEC)
    one, other = (cells.take(inside(cells, tissue.polygons)) for cells in (expected, found))
    assert same(one, other)
