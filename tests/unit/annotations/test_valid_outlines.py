from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.annotations.valid import on_grid, tenths
from pathopipe.geometry import Outlines
from tests.support.written import drawn_cells

SQUARE = [(0, 0), (4, 0), (4, 4), (0, 4)]
RINGS = [
    ("square", SQUARE, 16.0, False),
    ("clockwise", SQUARE[::-1], 16.0, False),
    ("vertices that coincide after rounding", [(0, 0), (0.01, 0.01), (4, 0), (4, 4), (4, 4.04), (0, 4)], 16.0, False),
    ("bow-tie: the larger lobe stays", [(0, 0), (6, 4), (6, 0), (0, 8)], None, True),
    ("spike", [(0, 0), (4, 0), (4, 4), (9, 4), (4, 4), (0, 4)], 16.0, True),
    ("a vertex on another edge", [(0, 0), (4, 0), (4, 4), (2, 0), (0, 4)], 4.0, True),
    ("thin, collapses by rounding to a line", [(0, 0), (9, 0), (9, 0.04), (0, 0.04)], 0.0, False),
    ("a point", [(5, 5), (5, 5), (5, 5)], 0.0, False),
    ("smaller than the grid", [(5, 5), (5.02, 5), (5.02, 5.02)], 0.0, False),
    ("not finite", [(0, 0), (4, np.nan), (4, 4)], 0.0, False),
    ("infinite", [(0, 0), (4, np.inf), (4, 4)], 0.0, False),
]


@pytest.mark.parametrize(("why", "ring", "area", "changed"), RINGS, ids=[row[0] for row in RINGS])
def test_each_ring_is_written_valid_repaired_or_dropped(why, ring, area, changed):
    written = on_grid(Outlines.of([np.array(ring, float)]))
    assert len(written.outlines) == (area != 0)
    assert written.dropped == (area == 0)
    assert written.repaired == changed
    if area:
        assert written.outlines.areas()[0] == pytest.approx(area)
    assert shapely.is_valid(written.outlines.to_shapely(decimals=1)).all()


def test_the_others_stay_in_their_order():
    rings = [np.array(ring, float) for _, ring, _, _ in RINGS]
    written = on_grid(Outlines.of(rings))
    assert written.index.tolist() == [0, 1, 2, 3, 4, 5]
    assert (written.repaired, written.dropped) == (3, 5)
    assert np.array_equal(written.outlines.ring(0), SQUARE)
    assert np.array_equal(written.outlines.ring(1), SQUARE[::-1])


def test_valid_outlines_are_only_rounded():
    outlines = drawn_cells(600).outlines
    written = on_grid(outlines)
    assert (written.repaired, written.dropped) == (0, 0)
    assert np.array_equal(tenths(written.outlines.coords), np.rint(outlines.coords.astype(np.float64) * 10))


def test_no_outlines_are_no_outlines():
    written = on_grid(Outlines.empty())
    assert (len(written.outlines), written.repaired, written.dropped) == (0, 0, 0)


def as_qupath_sees(outlines, shift):
    """Return the polygons as written, shifted to QuPath's origin, on its grid of 0.01 px."""
    shifted = shapely.transform(outlines.to_shapely(decimals=1), lambda xy: np.round(xy, 1) - shift)
    return shapely.transform(shifted, lambda xy: np.rint(xy * 100) / 100)


coordinate = st.floats(-30, 30, width=32)
ragged = st.lists(st.lists(st.tuples(coordinate, coordinate), min_size=3, max_size=14), max_size=8)


@settings(deadline=None, max_examples=100)
@given(rings=ragged, places=st.integers(0, 2), origin=st.sampled_from([0.0, 777.0, 60_000.0]))
def test_whatever_the_outlines_what_is_written_is_valid_in_qupath(rings, places, origin):
    # Rounding the input makes collinear and touching vertices likely.
    outlines = Outlines.of(np.round(np.array(ring), places) + origin for ring in rings)
    written = on_grid(outlines)
    assert len(written.outlines) + written.dropped == len(rings)
    assert (np.diff(written.index) > 0).all()
    for shift in (0, 131, -4099):
        polygons = as_qupath_sees(written.outlines, shift)
        assert shapely.is_valid(polygons).all()
        assert (shapely.area(polygons) > 0).all()
    again = on_grid(written.outlines)
    assert (again.repaired, again.dropped) == (0, 0)
    assert np.array_equal(again.outlines.coords, written.outlines.coords)
