"""The models that come with the package: the entry points of the group ``pathopipe.models``.

Such an entry point names a function without arguments that returns the path of a model file on this machine.
"""

from __future__ import annotations

from pathlib import Path


def nuclei() -> Path:
    """Return the default model: nuclei in bright-field images at 0.5 µm/px."""
    return Path(__file__).parent / "weights" / "nuclei.safetensors"
