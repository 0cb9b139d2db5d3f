"""Fixtures for every test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[1]

# The same examples every time, so that a change is judged by what it changes. To look for new ones:
# HYPOTHESIS_PROFILE=search make test
settings.register_profile("same", derandomize=True)
settings.register_profile("search", derandomize=False)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


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
