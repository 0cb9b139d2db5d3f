from __future__ import annotations

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.annotations.decimals import thousandths, vertices, without_comma, words_of
from pathopipe.errors import GeoJSONError

number = st.one_of(st.integers(-99_999_999, 99_999_999), st.integers(-12_000, 12_000))


def text_of(words):
    return [row.tobytes().replace(b"\0", b"") for row in words]


@settings(deadline=None, max_examples=200)
@given(st.lists(st.tuples(number, number), max_size=9))
def test_vertices_are_what_a_json_library_writes(places):
    tenths = np.array(places, float).reshape(-1, 2)
    found = vertices(tenths)
    assert text_of(found) == [orjson.dumps([x / 10, y / 10]) + b"," for x, y in places]
    found[:, -1] = without_comma(found[:, -1])
    assert text_of(found) == [orjson.dumps([x / 10, y / 10]) for x, y in places]


def test_what_no_slide_reaches_is_an_error_and_no_wrong_number():
    with pytest.raises(GeoJSONError, match="10000000 px"):
        vertices(np.array([(0, 0), (10, 0), (1e8, 4)]))


measured = st.one_of(
    st.integers(-(10**12), 10**12).map(lambda value: value / 1000),
    st.integers(-20_000, 20_000).map(lambda value: value / 1000),
    st.integers(-20, 20).map(float),
    st.floats(-1e300, 1e300).map(lambda value: round(value, 3)),
    st.sampled_from([0.0, -0.0, 99_999_999.999, -99_999_999.999, 1e8, 9_999.0, 10_000.0, float("nan")]),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(measured, max_size=9))
def test_measurements_are_what_a_json_library_writes(values):
    found = thousandths(np.array(values, float))
    assert len(found) == len(values)
    assert text_of(found) == [b"" if value != value else orjson.dumps(value) for value in values]


@pytest.mark.parametrize("text", [b"", b"a", b"12345678", b"123456789"])
def test_any_text_can_be_laid_out_in_words(text):
    assert words_of(text).tobytes().rstrip(b"\0") == text
