"""Fixtures for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real slides and nuclei that is kept beside the project, where it is there."""
    path = Path(os.environ.get("PATHOPIPE_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not path.is_dir():
        pytest.skip(f"no real data at {path} (set PATHOPIPE_TEST_DATA)")
    return path


@pytest.fixture(scope="session")
def drawn_slide(tmp_path_factory: pytest.TempPathFactory):
    """A drawn slide of 3000 × 3000 px at 0.25 µm/px with its truth."""
    from pathopipe.synth.slide import draw_slide
    from pathopipe.synth.spec import SynthSpec

    folder = tmp_path_factory.mktemp("drawn")
    return draw_slide(folder / "drawn.svs", SynthSpec(width=3000, height=3000, seed=7))
