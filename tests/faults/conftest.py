"""The model of the tests that run in this process."""

from __future__ import annotations

import pytest

from tests.support.faults import Dark


@pytest.fixture
def dark(monkeypatch) -> Dark:
    """The model that every run of the test takes."""
    return Dark().taken(monkeypatch)
