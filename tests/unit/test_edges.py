from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.edges import Edges, closing
from pathopipe.geometry import Outlines

whole = st.integers(-9, 9)
any_ring = st.lists(st.tuples(whole, whole), min_size=3, max_size=12)


def edges_of(outlines):
    return Edges(outlines.coords, outlines.offsets)


def rays(rng, number, vertices, turn):
    """Return rings around a middle, some of them bent; ``turn`` -1 for the other way round."""
    angle = np.arange(vertices) * (2 * np.pi / vertices) * turn
    reach = rng.uniform(3, 12, (number, vertices))
    xy = np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=-1) + rng.uniform(0, 90_000, (number, 1, 2))
    return Outlines(xy.reshape(-1, 2).astype(np.float32), np.arange(number + 1) * vertices)


@settings(deadline=None, max_examples=300)
@given(st.lists(any_ring, min_size=1, max_size=5))
def test_what_is_star_shaped_is_a_valid_polygon(rings):
    outlines = Outlines.of(np.array(ring, float) for ring in rings)
    edges = edges_of(outlines)
    found = edges.star_shaped(np.rint(edges.mean))
    polygons = outlines.to_shapely()
    assert shapely.is_valid(polygons[found]).all()
    assert (shapely.area(polygons[found]) > 0).all()


@settings(deadline=None, max_examples=100)
@given(st.integers(0, 2**32 - 1), st.integers(3, 40), st.sampled_from([1, -1]))
def test_hulls_are_those_of_shapely(seed, vertices, turn):
    outlines = rays(np.random.default_rng(seed), 20, vertices, turn)
    areas = edges_of(outlines).hull_areas()
    known = ~np.isnan(areas)
    assert areas[known] == pytest.approx(shapely.area(shapely.convex_hull(outlines.to_shapely()))[known], rel=1e-9)


def test_most_rings_of_rays_are_star_shaped_whichever_way_they_go_round():
    for turn in (1, -1):
        edges = edges_of(rays(np.random.default_rng(0), 200, 32, turn))
        assert edges.star_shaped(edges.mean).mean() > 0.7


def test_a_ring_that_goes_round_twice_is_not():
    angle = np.arange(10) * (4 * np.pi / 10) + 0.1
    reach = np.where(np.arange(10) < 5, 10, 5)
    edges = edges_of(Outlines.of([np.stack([reach * np.cos(angle), reach * np.sin(angle)], axis=-1)]))
    assert not edges.star_shaped(edges.mean).any()
    assert np.isnan(edges.hull_areas()).all()


def test_closing_repeats_the_first_vertex_of_each_ring():
    assert closing(np.array([0, 3, 7])).tolist() == [0, 1, 2, 0, 3, 4, 5, 6, 3]
    assert closing(np.array([0])).tolist() == []
