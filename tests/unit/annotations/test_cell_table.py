from __future__ import annotations

import hashlib
import uuid
from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.annotations import ids
from pathopipe.annotations.cells import CellTable
from pathopipe.annotations.ids import CellIds, Counts, uuid_of
from pathopipe.errors import MissingScaleError
from pathopipe.geometry import Outlines
from pathopipe.instances import Instances
from tests.support.written import cells_of, drawn_cells, ring_cells, slide_info, table_of


def ellipse(long, short, turn=0.0, number=90, at=(500.0, 400.0)):
    angle = np.arange(number) * (2 * np.pi / number)
    x, y = long * np.cos(angle), short * np.sin(angle)
    return np.stack([at[0] + x * np.cos(turn) - y * np.sin(turn), at[1] + x * np.sin(turn) + y * np.cos(turn)], axis=-1)


@settings(deadline=None, max_examples=40)
@given(st.floats(40, 90), st.floats(0.2, 1), st.floats(0, np.pi))
def test_an_ellipse_is_measured_as_calculus_says(long, ratio, turn):
    short = long * ratio
    table = table_of(ring_cells(ellipse(long, short, turn)), slide_info(mpp_x=0.5, mpp_y=0.5))
    found = {name: values[0] for name, values in table.columns.items()}
    h = ((long - short) / (long + short)) ** 2
    ramanujan = np.pi * (long + short) * (1 + 3 * h / (10 + np.sqrt(4 - 3 * h)))
    assert found["area_um2"] == pytest.approx(np.pi * long * short / 4, rel=4e-3)
    assert found["perimeter_um"] == pytest.approx(ramanujan / 2, rel=4e-3)
    assert found["major_axis_um"] == pytest.approx(long, rel=4e-3)
    assert found["minor_axis_um"] == pytest.approx(short, rel=6e-3)
    assert found["eccentricity"] == pytest.approx(np.sqrt(1 - ratio**2), abs=0.05 if ratio > 0.97 else 5e-3)
    assert 0.98 <= found["solidity"] <= 1


def test_on_a_slide_with_two_scales_lengths_are_those_on_the_glass():
    wide, tall = ring_cells(ellipse(80, 40)), ring_cells(ellipse(40, 40))
    squeezed = table_of(wide, slide_info(mpp_x=0.25, mpp_y=0.5))
    assert squeezed.columns["eccentricity"][0] == pytest.approx(0, abs=0.05)
    circle = table_of(tall, slide_info(mpp_x=0.5, mpp_y=0.5))
    for name in ("area_um2", "perimeter_um", "major_axis_um"):
        assert squeezed.columns[name][0] == pytest.approx(circle.columns[name][0], rel=5e-3)


def test_what_is_measured_is_what_is_written():
    table = table_of(drawn_cells(600, offset=(90_000, 70_000)), slide_info(mpp_x=0.25, mpp_y=0.23))
    glass = shapely.transform(table.cells.outlines.to_shapely(decimals=1), lambda xy: xy * (0.25, 0.23))
    assert np.allclose(table.columns["area_um2"], shapely.area(glass), atol=2e-3)
    assert np.allclose(table.columns["perimeter_um"], shapely.length(glass), atol=2e-3)
    hulls = shapely.area(shapely.convex_hull(glass))
    assert np.allclose(table.columns["solidity"], shapely.area(glass) / hulls, atol=2e-3)


def test_score_and_the_pixels_measurements_come_along_and_nan_stays_nan():
    cells = drawn_cells(200)
    od = cells.measurements["hematoxylin_od_mean"].copy()
    od[0] = np.nan
    table = table_of(replace(cells, measurements={"hematoxylin_od_mean": od}), slide_info())
    assert np.isnan(table.columns["hematoxylin_od_mean"][0])
    assert np.allclose(table.columns["hematoxylin_od_mean"][1:], od[1:], atol=5e-4)
    assert np.allclose(table.columns["score"], cells.score, atol=5e-4)


def test_what_is_dropped_and_repaired_is_counted_and_the_rest_keeps_its_values():
    square = [(0, 0), (8, 0), (8, 8), (0, 8)]
    cells = ring_cells(square, [(1, 1), (1, 1), (1, 1)], [(0, 0), (6, 4), (6, 0), (0, 8)])
    table = table_of(cells, slide_info())
    assert (len(table), table.dropped, table.repaired) == (2, 1, 1)
    assert table.cells.score.tolist() == cells.score[[0, 2]].tolist()


@pytest.mark.parametrize("size", [1, 7, 50, 1000])
def test_parts_are_of_one_size_and_in_order(size):
    whole = table_of(drawn_cells(300), slide_info())
    found = list(whole.parts(size))
    assert {len(part) for part in found[:-1]} <= {size}
    again = CellTable.concat(found)
    assert again.ids.tolist() == whole.ids.tolist()
    assert again.keys.tolist() == whole.keys.tolist()
    assert all(np.array_equal(again.columns[name], whole.columns[name]) for name in whole.columns)
    assert np.array_equal(again.cells.outlines.offsets, whole.cells.outlines.offsets)
    assert np.array_equal(again.cells.outlines.centroids(), whole.cells.outlines.centroids())


def test_no_cells_have_the_same_columns():
    none = Instances.empty(("Nucleus",), ["hematoxylin_od_mean"])
    table = table_of(none, slide_info())
    assert len(table) == 0
    assert set(table.columns) == set(table_of(drawn_cells(100), slide_info()).columns)


def test_without_a_scale_nothing_is_measured():
    with pytest.raises(MissingScaleError, match="--mpp"):
        table_of(drawn_cells(100), replace(slide_info(), scale_found=None, scale_problem="give --mpp"))


def test_ids_are_uuids_of_version_5_that_depend_on_slide_and_outline_alone():
    cells = drawn_cells(300)
    found = CellIds("slide").of(cells.outlines)[0]
    parsed = [uuid.UUID(text.decode()) for text in found]
    assert {(each.version, each.variant) for each in parsed} == {(5, uuid.RFC_4122)}
    assert len(set(found)) == len(cells)
    assert CellIds("slide").of(cells.outlines.take(np.arange(len(cells))[::-1]))[0].tolist() == found[::-1].tolist()
    assert not set(CellIds("other").of(cells.outlines)[0]) & set(found)
    assert uuid.UUID(uuid_of("slide", b"region")).version == 5


def test_the_id_is_what_the_standard_library_computes():
    outlines = Outlines.of([np.array([(0, 0), (4, 0), (4, 4.5)])])
    name = b"slide/" + np.array([0, 0, 40, 0, 40, 45], "<i4").tobytes()
    digest = hashlib.sha1(ids._SPACE + name).digest()[:16]
    assert CellIds("slide").of(outlines)[0][0].decode() == str(uuid.UUID(bytes=digest, version=5))


def test_outlines_that_are_the_same_get_ids_of_their_own_in_their_order():
    square = np.array([(0, 0), (8, 0), (8, 8), (0, 8)], float)
    other = square + 20
    found = CellIds("s").of(Outlines.of([square, other, square, square]))[0]
    assert len(set(found)) == 4
    assert found[:2].tolist() == CellIds("s").of(Outlines.of([square, other]))[0].tolist()
    assert CellIds("s").of(Outlines.of([square, square]))[0].tolist() == found[[0, 2]].tolist()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.lists(st.integers(0, 6), max_size=12), max_size=12))
def test_ids_given_some_at_a_time_or_by_others_are_those_given_at_once(blocks):
    square = np.array([(0, 0), (8, 0), (8, 8), (0, 8)], float)
    blocks = [Outlines.of(square + number for number in block) for block in blocks]
    at_once = CellIds("s").of(Outlines.concat(blocks))[0].tolist()
    one, by_one, by_others, counts = CellIds("s"), [], [], Counts()
    for block in blocks:
        by_one += one.of(block)[0].tolist()
        keys = CellIds("s").of(block)[1]
        by_others += CellIds("s", counts.earlier(keys)).of(block)[0].tolist()
        counts.add(keys)
    assert by_one == by_others == at_once
    assert len(set(at_once)) == len(at_once)


def test_the_table_does_not_depend_on_how_often_it_is_made():
    one, two = (table_of(cells_of(drawn_cells(300).outlines), slide_info()) for _ in range(2))
    assert one.ids.tolist() == two.ids.tolist()
    assert all(np.array_equal(one.columns[name], two.columns[name]) for name in one.columns)
