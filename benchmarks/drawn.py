"""The slides that benchmarks draw: each once a folder, whoever asks first."""

from __future__ import annotations

import os
from pathlib import Path

from pathopipe.synth.slide import draw_slide
from pathopipe.synth.spec import SynthSpec


def drawn_slide(folder: Path, side: int, tissue_fraction: float = 0.5, name: str = "", **more: object) -> Path:
    """Return a drawn slide of ``side`` × ``side`` px at 0.25 µm/px in ``folder``, drawn now or found there.

    Its truth lies beside it. ``more`` are other fields of :class:`pathopipe.synth.spec.SynthSpec`.
    """
    given = "".join(f"-{key}-{value}" for key, value in more.items())
    slide = folder / f"{name or f'drawn-{side}-{tissue_fraction:g}{given}'}.svs"
    if not slide.exists():
        spec = SynthSpec.model_validate(
            {"width": side, "height": side, "tissue_fraction": tissue_fraction, "seed": 1, **more}
        )
        draw_slide(slide, spec, workers=len(os.sched_getaffinity(0)))
    return slide
