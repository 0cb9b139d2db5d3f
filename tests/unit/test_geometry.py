"""Boxes, frames and outlines."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.geometry import Box, Frame, Outlines

EXAMPLES = settings(max_examples=60, deadline=None)
boxes = st.tuples(*[st.integers(-1000, 1000)] * 2, *[st.integers(0, 500)] * 2).map(
    lambda four: Box(four[0], four[1], four[0] + four[2], four[1] + four[3])
)


def stars(seed: int, number: int, far: float) -> list[np.ndarray]:
    """Simple polygons of 3 to 40 vertices around random centres."""
    rng = np.random.default_rng(seed)
    rings = []
    for _ in range(number):
        angles = np.sort(rng.choice(360, rng.integers(3, 40), replace=False)) * np.pi / 180
        radii = rng.uniform(5, 30, len(angles))
        ring = rng.uniform(0, far, 2) + np.stack([np.cos(angles), np.sin(angles)], 1) * radii[:, None]
        rings.append(ring if rng.random() < 0.5 else ring[::-1])
    return rings


@EXAMPLES
@given(boxes, boxes)
def test_the_clipped_part_lies_in_both_boxes(one, other):
    part = one.clipped(other)
    assert part.width >= 0
    assert part.height >= 0
    if part.area:
        assert one.contains(part)
        assert other.contains(part)


@EXAMPLES
@given(boxes, st.integers(0, 50))
def test_a_grown_box_contains_what_it_grew_from(box, margin):
    assert box.grown(margin).contains(box)
    assert box.grown(margin).grown(-margin) == box


@EXAMPLES
@given(st.integers(1, 200_000), st.integers(1, 200_000), st.floats(0.1, 1), st.floats(0.1, 1), st.floats(0.1, 8))
def test_a_frame_covers_its_slide_and_no_pixel_more(width, height, mpp_x, mpp_y, mpp):
    frame = Frame.at(mpp, width, height, mpp_x, mpp_y)
    whole = frame.to_level0(frame.box)
    assert whole.x1 >= width * (1 - 1e-5) - 1e-3
    assert whole.y1 >= height * (1 - 1e-5) - 1e-3
    assert (frame.width - 1) * frame.scale_x < width
    assert (frame.height - 1) * frame.scale_y < height


def test_a_whole_number_of_pixels_gets_no_more_from_rounding():
    assert Frame.at(0.5, 2000, 3000, 0.25, 0.25).box == Box(0, 0, 1000, 1500)
    assert Frame.at(0.3, 3000, 3000, 0.1, 0.1).width == 1000


def test_working_pixels_are_square_in_micrometres_on_an_anisotropic_slide():
    frame = Frame.at(0.5, 1000, 1000, 0.25, 0.5)
    assert (frame.width, frame.height) == (500, 1000)
    assert frame.points_to_level0(np.array([[10.0, 10.0]])).tolist() == [[20.0, 10.0]]


@EXAMPLES
@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.sampled_from([100.0, 200_000.0]))
def test_areas_and_centroids_are_shapelys_even_far_from_the_origin(seed, number, far):
    outlines = Outlines.of(stars(seed, number, far))
    polygons = outlines.to_shapely()
    assert np.allclose(outlines.areas(), shapely.area(polygons), rtol=1e-6)
    centroids = shapely.get_coordinates(shapely.centroid(polygons)).reshape(-1, 2)
    assert np.allclose(outlines.centroids(), centroids, atol=1e-4)
    assert np.allclose(outlines.bounds(), shapely.bounds(polygons).reshape(-1, 4))


def test_second_moments_of_a_rectangle():
    outlines = Outlines.of([np.array([[0, 0], [12, 0], [12, 6], [0, 6]]) + 100_000])
    ((_, edges),) = outlines.edges()
    assert edges.second_moments()[0] == pytest.approx([12**2 / 12, 6**2 / 12, 0])


@EXAMPLES
@given(st.integers(0, 2**32 - 1), st.integers(1, 30), st.data())
def test_take_and_concat_keep_the_rings(seed, number, data):
    rings = stars(seed, number, 1000)
    outlines = Outlines.of(rings)
    index = np.array(data.draw(st.lists(st.integers(0, number - 1), max_size=40)), np.int64)
    taken = outlines.take(index)
    assert all(np.array_equal(taken.ring(at), outlines.ring(source)) for at, source in enumerate(index))
    both = Outlines.concat([taken, Outlines.empty(), outlines])
    assert len(both) == len(index) + number
    assert np.array_equal(both.ring(len(both) - 1), outlines.ring(number - 1))
    chosen = data.draw(st.lists(st.booleans(), min_size=number, max_size=number))
    assert len(outlines.take(np.array(chosen))) == sum(chosen)


def test_no_outlines_are_fine_everywhere():
    none = Outlines.empty()
    assert len(none) == len(none.areas()) == len(none.centroids()) == len(none.bounds()) == len(none.to_shapely()) == 0
    assert len(none.take(np.zeros(0, np.int64))) == len(Outlines.concat([])) == len(Outlines.of([])) == 0


@pytest.mark.parametrize(
    ("coords", "offsets"),
    [(np.zeros((4, 3)), [0, 4]), (np.zeros((4, 2)), [0, 3]), (np.zeros((4, 2)), [0, 2, 4]), (np.zeros((0, 2)), [])],
)
def test_what_is_no_outline_is_refused(coords, offsets):
    with pytest.raises(ValueError):
        Outlines(coords.astype(np.float32), np.array(offsets, np.int64))
