from __future__ import annotations

import json

import numpy as np
import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.annotations.decimals import rings_as_json
from pathopipe.errors import GeoJSONError

number = st.one_of(st.integers(-99_999_999, 99_999_999), st.integers(-12_000, 12_000))
ring = st.lists(st.tuples(number, number), min_size=3, max_size=9)


@settings(deadline=None, max_examples=200)
@given(st.lists(ring, max_size=6))
def test_the_text_is_what_a_json_library_writes(rings):
    offsets = np.cumsum([0, *map(len, rings)])
    tenths = np.array([vertex for each in rings for vertex in each], float).reshape(-1, 2)
    found = rings_as_json(tenths, offsets)
    closed = [np.array([*each, each[0]], float) / 10 for each in rings]
    assert found == [orjson.dumps(each, option=orjson.OPT_SERIALIZE_NUMPY) for each in closed]
    assert all(json.loads(text) == each.tolist() for text, each in zip(found, closed, strict=True))


def test_what_no_slide_reaches_is_an_error_and_no_wrong_number():
    with pytest.raises(GeoJSONError, match="10000000 px"):
        rings_as_json(np.array([(0, 0), (10, 0), (1e8, 4)]), np.array([0, 3]))
