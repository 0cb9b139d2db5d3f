"""Slides with changed bytes are read or refused: no hang, no foreign error, no end of the process, little memory."""

from __future__ import annotations

import pytest

from tests.support.fuzzed import run


@pytest.mark.parametrize("seed", [11, 12])
def test_changed_slides_are_read_or_refused(tmp_path, seed):
    outcomes = run(tmp_path, seed, 100)
    assert [outcome for outcome in outcomes if outcome.kind not in ("read", "refused")] == []
    assert {outcome.kind for outcome in outcomes} == {"read", "refused"}
    assert len(outcomes) == 100
