from __future__ import annotations

import math

import pytest

from pathopipe.slide.scale import (
    Candidate,
    find_scale,
    from_comment,
    from_imagej,
    from_properties,
    from_tiff_tag,
    number,
)

READER = Candidate(0.25, 0.25, "openslide.mpp-x", "reader")
TAG = Candidate(0.26, 0.26, "TIFF resolution tag", "tiff tag")
PRINT = Candidate(352.8, 352.8, "TIFF resolution tag", "tiff tag")
COMMENT = Candidate(0.5, 0.5, "Aperio comment", "comment")


@pytest.mark.parametrize(
    ("candidates", "given", "expected", "source"),
    [
        ([READER, TAG, COMMENT], None, 0.25, "openslide.mpp-x"),
        ([TAG, COMMENT], None, 0.26, "TIFF resolution tag"),
        ([PRINT, COMMENT], None, 0.5, "Aperio comment"),
        ([READER], 0.3, 0.3, "given by the user"),
        ([], 0.3, 0.3, "given by the user"),
        ([Candidate(math.nan, math.nan, "openslide.mpp-x", "reader"), TAG], None, 0.26, "TIFF resolution tag"),
    ],
)
def test_the_first_source_that_states_something_decides(candidates, given, expected, source):
    found = find_scale(candidates, given, None)
    assert found.scale is not None
    assert (found.scale.x, found.scale.y, found.scale.source) == (expected, expected, source)
    assert found.problem == ""


def test_an_implausible_value_is_not_passed_over_for_a_weaker_source():
    found = find_scale([Candidate(0.00499, 0.00499, "openslide.mpp-x", "reader"), COMMENT], None, None)
    assert found.scale is None
    for part in ("0.00499", "openslide.mpp-x", "0.05–20", "also says 0.5", "--mpp"):
        assert part in found.problem


@pytest.mark.parametrize(("value", "plausible"), [(0.0499, False), (0.05, True), (20.0, True), (20.01, False)])
def test_the_limits(value, plausible):
    assert (find_scale([Candidate(value, value, "x", "reader")], None, None).scale is not None) == plausible


@pytest.mark.parametrize("given", [0.0, -0.25, 0.01, 250.0, math.inf])
def test_the_users_own_value_is_checked_too(given):
    found = find_scale([READER], given, None)
    assert found.scale is None
    assert "given by the user" in found.problem


def test_the_objective_is_a_hint_and_never_a_scale():
    found = find_scale([], None, 20.0)
    assert found.scale is None
    assert "20× objective" in found.problem
    assert "--mpp 0.5" in found.problem


def test_a_print_size_is_named_in_the_problem():
    assert "352.8" in find_scale([PRINT], None, None).problem


def test_anisotropic_pixels_are_kept_and_remarked():
    found = find_scale([Candidate(0.25, 0.27, "openslide.mpp-x", "reader")], None, None)
    assert found.scale is not None
    assert (found.scale.x, found.scale.y) == (0.25, 0.27)
    assert "not square" in found.remarks[0]
    assert find_scale([Candidate(0.25, 0.2501, "openslide.mpp-x", "reader")], None, None).remarks == ()


def test_sources_that_differ_are_remarked():
    assert "0.5 µm/px (Aperio comment)" in find_scale([READER, TAG, COMMENT], None, None).remarks[0]
    assert find_scale([READER, TAG], None, None).remarks == ()
    assert "openslide.mpp-x" in find_scale([READER], 0.5, None).remarks[0]


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        ("Aperio Image Library v11|AppMag = 20|MPP = 0.499|Left = 25.6", (0.499, 0.499)),
        ("Aperio|MPP=0.2462", (0.2462, 0.2462)),
        ('<OME><Pixels PhysicalSizeX="0.25" PhysicalSizeY="0.26"/></OME>', (0.25, 0.26)),
        (
            '<OME><Pixels PhysicalSizeX="250" PhysicalSizeXUnit="nm" PhysicalSizeY="250" PhysicalSizeYUnit="nm"/>',
            (0.25,) * 2,
        ),
        ('<Pixels PhysicalSizeX="0.00025" PhysicalSizeXUnit="mm"/>', (0.25, 0.25)),
        ('<Pixels PhysicalSizeX="1.0" PhysicalSizeXUnit="pixel"/>', None),
        ("ScanScope|AppMag = 40", None),
        ("|MPP = nonsense", None),
        ("", None),
    ],
)
def test_comments(comment, expected):
    found = from_comment(comment)
    assert ([(one.x, one.y) for one in found] or [None])[0] == (None if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("unit", "per_unit", "expected"),
    [("centimeter", 40000, 0.25), ("INCH", 50800, 0.5), ("none", 40000, None), (None, 1, None), ("inch", 0, None)],
)
def test_resolution_tags(unit, per_unit, expected):
    found = from_tiff_tag(per_unit, str(per_unit), unit)
    assert [one.x for one in found] == ([] if expected is None else [pytest.approx(expected)])


def test_imagej_counts_in_the_unit_of_its_description():
    found = from_imagej("ImageJ=1.53t\nunit=micron\n", 4.0, 2.0)
    assert (found[0].x, found[0].y) == (0.25, 0.5)
    assert from_imagej("ImageJ=1.53t\n", 4.0, 4.0) == []
    assert from_imagej("unit=micron", 4.0, 4.0) == []


def test_properties_that_are_no_numbers_state_nothing():
    assert from_properties({"a": "0.25", "b": "?"}, "a", "b", "test") == []
    assert [number(text) for text in ("0.5", "nan", "", None, "1e400", "x")] == [0.5, None, None, None, None, None]
