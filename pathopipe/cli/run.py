"""``pathopipe run``: the main job over files, folders and manifests; and ``pathopipe tile``, its first half."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pathopipe.cli.interrupt import told_when_interrupted
from pathopipe.cli.options import (
    Anonymous,
    Cluster,
    ConfigFile,
    Mpp,
    Out,
    Quiet,
    Settings,
    ShardOption,
    Verbose,
    Workers,
    verbosity,
)

if TYPE_CHECKING:
    from pathopipe.anonymity import Anonymity
    from pathopipe.batch.run import BatchResult
    from pathopipe.batch.shards import Shard
    from pathopipe.config import Config
    from pathopipe.limits import LimitsSpec
    from pathopipe.slide.find import FoundSlides

Slides = Annotated[
    list[str],
    typer.Argument(
        metavar="SLIDES…",
        help="Slides, folders (searched with all below them), URLs, or a .csv with a column `slide` (and `mpp`, `id`).",
    ),
]
Device = Annotated[str | None, typer.Option("--device", metavar="auto|cpu|cuda", help="Where the model runs.")]
Coords = Annotated[
    str | None,
    typer.Option(
        "--coords", metavar="qupath|level0", help="Origin of the GeoJSON: as QuPath opens the slide, or level 0."
    ),
]


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("run")(run)
    app.command("tile")(tile)


def run(
    slides: Slides,
    out: Out,
    config_file: ConfigFile = None,
    settings: Settings = None,
    model: Annotated[str | None, typer.Option("--model", metavar="NAME|FILE", help="See `pathopipe models`.")] = None,
    mpp: Mpp = None,
    cluster: Cluster = None,
    workers: Workers = None,
    shard: ShardOption = None,
    device: Device = None,
    coords: Coords = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell the plan: tissue, tiles, time, disk.")] = False,
    anonymous: Anonymous = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Find the cells of whole-slide images: GeoJSON for QuPath, GeoParquet, scores and a report.

    Run it again and it does only what is missing; a slide that fails never stops the others.

    **Examples**

    `pathopipe run slides/ --out results/`

    `pathopipe run a.svs b.ndpi --out results/ --workers 4`

    `pathopipe run old.svs --out results/ --mpp 0.25`   (a slide that does not say its resolution)

    `pathopipe run manifest.csv --out results/ --cluster configs/clusters/slurm.yaml`

    `pathopipe run manifest.csv --out results/ --shard 3/8`   (one of 8 jobs that share the work and the folder)

    `pathopipe run slides/ --out results/ --anonymous study.key`   (no slide's name in any output)
    """
    from pathopipe.config import load_config

    config = load_config(
        config_file,
        settings or (),
        slide={"mpp_if_missing": mpp},
        model={"name": model, "device": device},
        engine={"cluster": cluster, "workers": workers},
        annotations={"coords": coords},
    )
    part = _shard(shard)
    found = find(slides, quiet, anonymous, out, config.limits)
    if dry_run:
        plan(part.part_of(found) if part else found, config)
        return
    result = analyse(found, out, config, verbosity(verbose, quiet), part)
    tell(result, out)
    if not result.all_complete:
        raise typer.Exit(1)


def tile(
    slides: Slides,
    out: Out,
    config_file: ConfigFile = None,
    settings: Settings = None,
    mpp: Mpp = None,
    cluster: Cluster = None,
    workers: Workers = None,
    shard: ShardOption = None,
    anonymous: Anonymous = None,
    verbose: Verbose = 0,
    quiet: Quiet = False,
) -> None:
    """Find the tissue and store its tiles as OME-Zarr, without a model.

    **Example**

    `pathopipe tile slides/ --out tiles/`   then open `tiles/<slide>/tiles.zarr` in napari
    """
    from pathopipe.config import load_config

    config = load_config(
        config_file,
        settings or (),
        slide={"mpp_if_missing": mpp},
        engine={"cluster": cluster, "workers": workers},
    )
    part = _shard(shard)
    found = find(slides, quiet, anonymous, out, config.limits)
    raise typer.Exit(store_tiles(found, out, config, verbosity(verbose, quiet), part))


def _shard(text: str | None) -> Shard | None:
    from pathopipe.batch.shards import Shard

    return None if text is None else Shard.parse(text)


def find(slides: list[str], quiet: bool, key: Path | None, out: Path, limits: LimitsSpec) -> FoundSlides:
    """Return the slides that ``slides`` name, under pseudonyms where there is a ``key``; tell what was passed over."""
    from pathopipe.errors import ConfigError
    from pathopipe.slide.find import find_slides

    found = find_slides(slides, limits)
    if key is not None:
        found = _anonymity(key, out).over(found)
    if not quiet:
        for remark in found.remarks:
            print(remark, file=sys.stderr)
    if not found.slides:
        raise ConfigError(f"no slides found in: {', '.join(slides)}")
    return found


def _anonymity(key: Path, out: Path) -> Anonymity:
    """Return the pseudonyms of the key file, made if it is not there."""
    from pathopipe.anonymity import is_open, make_key, read_key

    if make_key(key, out):
        print(f"made the key {key}: keep it, and keep it from those who get the results", file=sys.stderr)
    elif is_open(key):
        print(f"warning: others may read the key {key}: chmod 600 it", file=sys.stderr)
    return read_key(key, out)


def analyse(found: FoundSlides, out: Path, config: Config, level: int, shard: Shard | None = None) -> BatchResult:
    """Start the workers and run the batch."""
    with told_when_interrupted():
        from pathopipe.engine.cluster import start_executor
        from pathopipe.engine.starting import import_ahead
        from pathopipe.models.device import visible_gpus
        from pathopipe.models.load import load_card
        from pathopipe.progress import show_progress

        card = load_card(config.model)
        gpus = visible_gpus(config.model.device)
        if config.engine.cluster == "local":
            import_ahead()  # while this process imports what it needs itself
        from pathopipe.batch.run import run_batch

        with show_progress(level) as progress:
            progress.say(f"model {card.name} {card.version} at {card.mpp:g} µm/px")
            with start_executor(config.engine, gpus) as engine:
                progress.say(f"working with {engine.description}")
                return run_batch(found, out, config, card, engine, progress, ["pathopipe", *sys.argv[1:]], shard)


def store_tiles(found: FoundSlides, out: Path, config: Config, level: int, shard: Shard | None) -> int:
    """Start the workers, store every slide's tiles, and return the exit code."""
    from pathopipe.batch.run import run_tiling
    from pathopipe.engine.cluster import start_executor
    from pathopipe.models.load import load_card
    from pathopipe.progress import show_progress

    card = load_card(config.model)
    with told_when_interrupted(), show_progress(level) as progress, start_executor(config.engine) as engine:
        failed = run_tiling(found, out, config, card, engine, progress, shard)
    total = len((shard.part_of(found) if shard else found).slides)
    print(f"{total - failed} of {total} slides stored below {out}")
    return int(failed > 0)


def plan(found: FoundSlides, config: Config) -> None:
    """Print what a run over ``found`` would do; slides that cannot be opened are told and counted."""
    from pathopipe.batch.run import job_for
    from pathopipe.errors import PathopipeError
    from pathopipe.layout import SlideFolder
    from pathopipe.models.load import load_card
    from pathopipe.plan import Plan, Planner

    began = time.process_time()  # what Python took to come here: a run takes it too
    card, plans, failed = load_card(config.model), list[Plan](), 0
    print(f"{'slide':40} {'tissue mm²':>10} {'tiles':>7} {'cells':>10} {'time':>9} {'disk':>9}")
    with Planner(config) as planner:
        for entry in found.slides:
            try:
                told = planner.plan(job_for(SlideFolder(Path(entry.id)), entry, config, card))
            except PathopipeError as error:
                why = entry.veil.over(str(error)) if entry.veil else error
                print(f"{entry.id[:40]:40} cannot be analysed: {why}")
                failed += 1
                continue
            plans.append(told)
            print(
                f"{told.id[:40]:40} {told.tissue_mm2:10.2f} {told.tiles:7d} {told.cells:10,.0f} {told.seconds:7.0f} s "
                f"{told.disk_bytes / 1e9:6.2f} GB"
            )
    seconds = began + planner.seconds(plans)
    length = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    memory = _memory([told.worker_bytes for told in plans], [told.own_bytes for told in plans])
    print(
        f"in all: about {length} with {planner.workers} worker{'s' * (planner.workers != 1)}{memory}, "
        f"{sum(told.disk_bytes for told in plans) / 1e9:.1f} GB of disk; "
        f"{failed} slide{'s' * (failed != 1)} would fail"
    )


def _memory(workers: list[int | None], own: list[int | None]) -> str:
    """Return what is told of memory; "" where the system did not tell any."""
    largest, coordinator = (max((each for each in some if each is not None), default=0) for some in (workers, own))
    if not coordinator:
        return ""
    of_workers = f" of up to {largest / 1e9:.1f} GB each" if largest else ""
    return f"{of_workers} and {coordinator / 1e9:.1f} GB for the coordinating process"


def tell(result: BatchResult, out: Path) -> None:
    """Print what became of the slides and where the results are."""
    total = len(result.records)
    if not total:
        print("nothing to do: there are more shards than slides, and none is left for this one")
        return
    if result.unchanged == total and result.all_complete:
        print(f"nothing to do: {total} of {total} slides are complete and unchanged in {out}")
        return
    told = [
        f"{result.count(status)} {status}" for status in ("complete", "incomplete", "failed") if result.count(status)
    ]
    if result.unchanged:
        told.append(f"{result.unchanged} of them unchanged")
    print(f"{total} slide{'s' * (total != 1)}: {', '.join(told)}")
    for record in result.records:
        if record.error:
            print(f"  {record.id}: {record.status}: {record.error}")
        elif record.tissue_mm2 is not None:
            print(f"  {record.id}: {record.cells:,} cells in {record.tissue_mm2:.2f} mm² of tissue")
    print(f"summary: {out / 'summary.csv'}\nreport:  {out / 'report.html'}")
