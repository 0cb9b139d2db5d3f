"""Outlines from maps whose truth is drawn."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.models import postprocess
from pathopipe.models.card import DecodeSpec
from pathopipe.models.postprocess import decode

RAYS = 32


def maps_of(ellipses, shape=(96, 96)):
    """Return probability, foreground, distances (half resolution) of ellipses (x, y, long, short, degrees) in px."""
    fine = 8
    foreground = np.zeros(shape, np.float32)
    probability = np.zeros(shape, np.float32)
    distances = np.zeros((RAYS, *shape), np.float32)
    rows, cols = (np.mgrid[: shape[0], : shape[1]] + 0.5) * 2
    for x, y, long, short, degrees in ellipses:
        canvas = np.zeros((shape[0] * fine, shape[1] * fine), np.uint8)
        scale = fine / 2
        box = ((x * scale - 0.5, y * scale - 0.5), (2 * long * scale, 2 * short * scale), degrees)
        cv2.ellipse(canvas, box, 1, -1)
        part = cv2.resize(canvas.astype(np.float32), shape[::-1], interpolation=cv2.INTER_AREA)
        turn = np.deg2rad(degrees)
        u = (cols - x) * np.cos(turn) + (rows - y) * np.sin(turn)
        v = -(cols - x) * np.sin(turn) + (rows - y) * np.cos(turn)
        depth = np.clip(1 - np.hypot(u / long, v / short), 0, 1).astype(np.float32)
        foreground = np.maximum(foreground, part)
        probability = np.maximum(probability, depth)
        angle = np.arange(RAYS)[:, None, None] * 2 * np.pi / RAYS - turn
        radius = 1 / np.hypot(np.cos(angle) / long, np.sin(angle) / short) / 2
        distances = np.where(depth >= probability, radius, distances)
    return np.minimum(probability + 0.3, 1), foreground, distances.astype(np.float32)


def at(distances):
    """Return how to ask for ``distances`` (rays, h, w) at flat positions."""
    return lambda positions: distances.reshape(len(distances), -1)[:, positions].T


def found(ellipses, shape=(96, 96), longest=64.0, **settings_):
    probability, foreground, distances = maps_of(ellipses, shape)
    return decode(probability, foreground, at(distances), DecodeSpec(**settings_), 2, longest)


@pytest.mark.parametrize(
    "ellipse",
    [
        pytest.param((60, 70, 6, 6, 0), id="disc of the usual size"),
        pytest.param((61.3, 70.6, 3.2, 3.2, 0), id="small, between pixels"),
        pytest.param((90, 90, 25, 25, 0), id="large"),
        pytest.param((60, 70, 12, 5, 30), id="ellipse"),
        pytest.param((60, 70, 16, 4.5, 75), id="spindle"),
    ],
)
def test_outline_has_the_area_and_place_of_what_was_drawn(ellipse):
    x, y, long, short, degrees = ellipse
    outlines, score, *_ = found([ellipse])
    assert len(outlines) == 1
    assert score[0] > 0.6
    assert outlines.areas()[0] == pytest.approx(np.pi * long * short, rel=0.06)
    assert outlines.centroids()[0] == pytest.approx([x, y], abs=0.35)
    circle = shapely.Point(0, 0).buffer(1, quad_segs=32)
    truth = shapely.affinity.translate(
        shapely.affinity.rotate(shapely.affinity.scale(circle, long, short), degrees), x, y
    )
    (polygon,) = outlines.to_shapely()
    assert polygon.intersection(truth).area / polygon.union(truth).area > 0.9


def test_touching_discs_are_told_apart():
    outlines, *_ = found([(60, 60, 8, 8, 0), (75, 60, 8, 8, 0)])
    assert len(outlines) == 2
    assert outlines.areas() == pytest.approx([np.pi * 64] * 2, rel=0.12)
    first, second = outlines.to_shapely()
    assert first.intersection(second).area < 10


def test_order_is_by_row_then_column():
    outlines, *_ = found([(150, 40, 6, 6, 0), (40, 40, 6, 6, 0), (90, 20, 6, 6, 0)])
    assert outlines.centroids()[:, 0] == pytest.approx([90, 40, 150], abs=0.5)


def test_larger_than_the_largest_is_dropped():
    assert len(found([(90, 90, 25, 25, 0)], longest=40)[0]) == 0


def test_nothing_is_found_on_nothing():
    nothing = np.zeros((32, 32), np.float32)
    outlines, score, *_ = decode(nothing, nothing, at(np.zeros((RAYS, 32, 32), np.float32)), DecodeSpec(), 2, 64)
    assert len(outlines) == len(score) == 0


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6))
def test_every_polygon_is_valid_whatever_the_maps(seed):
    rng = np.random.default_rng(seed)
    probability, foreground = (
        cv2.resize(rng.random((12, 12)).astype(np.float32), (64, 64), interpolation=cv2.INTER_CUBIC) for _ in range(2)
    )
    distances = rng.uniform(-2, 12, (RAYS, 64, 64)).astype(np.float32)
    outlines, score, *_ = decode(probability, foreground, at(distances), DecodeSpec(threshold=0.3), 2, 64)
    assert shapely.is_valid(outlines.to_shapely()).all()
    assert len(score) == len(outlines)
    bounds = outlines.bounds()
    assert (bounds > -2).all()
    assert (bounds < 130).all()


@settings(deadline=None, max_examples=15)
@given(st.integers(0, 10**6))
def test_an_outline_does_not_depend_on_what_is_far_away(seed):
    rng = np.random.default_rng(seed)
    ellipses = [
        (x + rng.uniform(-4, 4), y + rng.uniform(-4, 4), 7, 5, rng.uniform(0, 180))
        for x in (30, 50, 70, 150)
        for y in (30, 60, 150)
    ]
    probability, foreground, distances = maps_of(ellipses)
    whole, *_ = decode(probability, foreground, at(distances), DecodeSpec(), 2, 64)
    part, *_ = decode(probability[:56, :56], foreground[:56, :56], at(distances[:, :56, :56]), DecodeSpec(), 2, 64)
    near = whole.take(whole.bounds().max(axis=1) < 100)
    assert len(near) >= 5
    assert np.array_equal(near.coords, part.take(part.bounds().max(axis=1) < 100).coords)


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6), st.integers(0, 300), st.integers(0, 300))
def test_an_outline_does_not_depend_on_where_in_the_maps_it_lies(seed, down, right):
    """To the last bit: tiles of one slide begin at different places."""
    rng = np.random.default_rng(seed)
    probability, foreground = (
        np.pad(cv2.resize(rng.random((12, 12)).astype(np.float32), (64, 64), interpolation=cv2.INTER_CUBIC), 4)
        for _ in range(2)
    )
    distances = rng.uniform(-2, 12, (RAYS, 72, 72)).astype(np.float32)
    shift = ((4 * down, 12), (4 * right, 8))
    moved = np.pad(probability, shift), np.pad(foreground, shift), at(np.pad(distances, ((0, 0), *shift)))
    here = decode(probability, foreground, at(distances), DecodeSpec(threshold=0.3), 2, 64)
    there = decode(*moved, DecodeSpec(threshold=0.3), 2, 64)
    assert np.array_equal(here.outlines.coords + np.float32([8 * right, 8 * down]), there.outlines.coords)
    assert np.array_equal(here.score, there.score)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6), st.sampled_from([64, 1 << 16]))
def test_basins_are_those_of_climbing_step_by_step(seed, block):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 20, 2)
    relief = rng.integers(0, 6, (height, width)).astype(np.float32) / 5  # few levels: many equals
    inside = rng.random((height, width)) < rng.choice([0.1, 0.6, 1])
    cells = np.flatnonzero(inside)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(postprocess, "_BLOCK", block)
        tops, top_of_cell = postprocess._basins(relief, cells)
    for cell, top in zip(cells, tops[top_of_cell], strict=True):
        row, col = divmod(int(cell), width)
        while True:
            around = [(row, col), *((row + down, col + right) for down, right in postprocess._NEIGHBOURS)]
            on = [(y, x) for y, x in around if 0 <= y < height and 0 <= x < width and inside[y, x]]
            best = max(on, key=lambda at: relief[at])  # the first of equals, and itself before others
            if best == (row, col):
                break
            row, col = best
        assert top == row * width + col
