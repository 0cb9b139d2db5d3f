"""``pathopipe demo`` and ``pathopipe synth``: slides drawn here, so that nothing has to be downloaded."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pathopipe.cli.options import Out, Quiet, Verbose, Workers, verbosity

if TYPE_CHECKING:
    from pathopipe.synth.spec import SynthResult, SynthSpec


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("demo")(demo)
    app.command("synth")(synth)


def demo(
    out: Out = Path("demo"),
    size: Annotated[int, typer.Option("--size", help="Side of the drawn slide in pixels.", min=1000)] = 6000,
    workers: Workers = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Draw a slide, analyse it, and say how many of its nuclei were found.

    **Example**

    `pathopipe demo`   then look at `demo/results/demo/overview.png` and `demo/results/report.html`
    """
    from pathopipe.annotations.read import read_outlines
    from pathopipe.cli.run import analyse, tell
    from pathopipe.config import load_config
    from pathopipe.evaluation import evaluate_outlines
    from pathopipe.layout import SlideFolder
    from pathopipe.slide.find import find_slides
    from pathopipe.synth.spec import SynthSpec
    from pathopipe.synth.truth import truth_path

    slide, results = out / "demo.svs", out / "results"
    level = verbosity(verbose, quiet)
    out.mkdir(parents=True, exist_ok=True)
    if not (slide.exists() and truth_path(slide).exists()):
        draw(slide, SynthSpec(width=size, height=size), workers, level)
    result = analyse(find_slides([str(slide)]), results, load_config(engine={"workers": workers}), level)
    tell(result, results)
    if not result.all_complete:
        raise typer.Exit(1)
    folder = SlideFolder(results / result.records[0].id)
    agreement = evaluate_outlines(
        read_outlines(folder.cells_geojson).outlines, read_outlines(truth_path(slide)).outlines
    )
    print(f"picture: {folder.overview}\nQuPath:  open {slide}, then drop {folder.cells_geojson} onto it")
    print(
        f"of {agreement.truth:,} drawn nuclei {agreement.true_positives:,} were found (F1 {agreement.f1:.2f}); "
        f"drawn tissue is no measure of how the model does on yours: see `pathopipe models nuclei`"
    )


def synth(
    size: Annotated[tuple[int, int], typer.Option("--size", metavar="W H", help="Pixels at level 0.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Slide to write: .svs (Aperio-style), .tif or .tiff.")],
    mpp: Annotated[float, typer.Option("--mpp", help="µm per pixel at level 0.")] = 0.25,
    seed: Annotated[int, typer.Option("--seed", help="Another seed draws another slide.", min=0)] = 0,
    tissue: Annotated[float, typer.Option("--tissue", help="Part of the slide that is tissue, 0 to 1.")] = 0.5,
    density: Annotated[float, typer.Option("--density", help="Nuclei relative to the usual, about 3,600 a mm².")] = 1.0,
    defects: Annotated[
        bool, typer.Option("--defects", help="Draw pen, pigment, folds, an edge and red cells over it.")
    ] = False,
    workers: Workers = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Draw a pyramidal slide with known nuclei, and write their outlines beside it as GeoJSON.

    **Examples**

    `pathopipe synth --size 6000 4000 --out drawn.svs`

    `pathopipe synth --size 50000 40000 --out large.tiff --seed 3 --workers 8`

    `pathopipe synth --size 8000 8000 --out spoilt.svs --defects`
    """
    from pydantic import ValidationError

    from pathopipe.errors import ConfigError
    from pathopipe.spec import told
    from pathopipe.synth.spec import SynthSpec

    try:
        spec = SynthSpec(
            width=size[0],
            height=size[1],
            mpp=mpp,
            seed=seed,
            tissue_fraction=tissue,
            nuclei_density=density,
            defects=defects,
        )
    except ValidationError as error:
        raise ConfigError(f"cannot draw that: {told(error)}") from None
    drawn = draw(out, spec, workers, verbosity(verbose, quiet))
    print(f"{drawn.slide}: {drawn.nuclei:,} nuclei in {drawn.tissue_mm2:.2f} mm² of tissue; truth: {drawn.truth}")


def draw(out: Path, spec: SynthSpec, workers: int | None, level: int) -> SynthResult:
    """Draw a slide with a progress bar."""
    from pathopipe.progress import show_progress
    from pathopipe.synth.slide import draw_slide

    with show_progress(level) as progress:
        begun = 0

        def drawn(done: int, total: int) -> None:
            nonlocal begun
            if not begun:
                progress.stage(f"draw {out.name}", total)
            progress.advance(done - begun)
            begun = done

        return draw_slide(out, spec, drawn, workers or os.cpu_count() or 1)
