"""The main job on one slide: its first part, from pixels to the cells of each tile. Start reading here.

The second part is in ``finish.py``; ``batch/run.py`` has one slide finished while another begins.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace

import shapely

from pathopipe.engine.base import Executor
from pathopipe.engine.tasks import FillTiles, PredictTiles
from pathopipe.engine.worker import PixelSource
from pathopipe.errors import OutputDiskError
from pathopipe.files import clear_temporary
from pathopipe.geometry import Frame
from pathopipe.job import Begun, Job
from pathopipe.models.arithmetic import Arithmetic, meaning, offered
from pathopipe.progress import Progress
from pathopipe.quarantine import Failed, log_failed, nothing_done, run_tiles
from pathopipe.record import Clock, Fingerprints, Record
from pathopipe.slide.base import Slide
from pathopipe.slide.identity import modified
from pathopipe.slide.open import open_slide, pinned
from pathopipe.slide.patchy import PatchySlide
from pathopipe.space import shortage
from pathopipe.store.instances import InstanceStore
from pathopipe.store.layout import clear_partial, discard
from pathopipe.store.tiles import TileStore
from pathopipe.tiling.grid import Tile, TileGrid
from pathopipe.tiling.tissue import Tissue, find_tissue


def begin_slide(job: Job, engine: Executor, clock: Clock) -> Begun | Record:
    """Find the tissue of a slide and have its tiles analysed into its folder; run again, it does only what is missing.

    Parameters
    ----------
    job : Job
        The slide and the settings.
    engine : Executor
        Where the tiles are worked on.
    clock : Clock
        Told what goes on.

    Returns
    -------
    Begun or Record
        What :func:`pathopipe.finish.finish_slide` goes on with, in this thread or another; or the record of a slide
        that is complete.

    Raises
    ------
    PathopipeError
        If the slide cannot be analysed at all; what was done before stays.
    """
    config, folder = job.config, job.folder
    with ExitStack() as opened:
        slide = opened.enter_context(PatchySlide(open_slide(job.slide, config.slide, config.limits)))
        frame = slide.info.frame(job.card.mpp)
        grid = grid_for(job, frame)
        ways = Fingerprints.in_each(slide.info, frame, grid, job.card, config)
        earlier = Record.load(folder)
        if earlier and any(earlier.holds(prints, folder) for prints in ways.values()):
            return earlier
        if earlier and earlier.repaired(modified(job.slide)):
            # What of it could be read may have been wrong too: nothing that came of the file as it was holds any more.
            InstanceStore.remove(folder.instances)
            discard(folder.tiles)

        clear_temporary(folder.path)
        arithmetic = gone_on_with(job, ways, clock.progress)
        job, prints = computing_in(job, arithmetic), ways[arithmetic]
        Record.begun(job.id, job.slide).save(folder)
        with clock.stage("tissue"):
            tissue = find_tissue(slide, config.tissue, config.artefacts)
            tiles, unseen = grid.touching(tissue, frame), seen_enough(slide)
        source = pixel_source(job, slide, frame, tissue)
        tissue = tissue.without_picture()  # the store has it now
        instances = InstanceStore.open(folder.instances, prints.instances)
        failed = analyse_tiles(job, source, tiles, instances, engine, clock)
        opened.pop_all()
    return Begun(
        job, clock, prints, slide, frame, source, tissue, unseen, tiles, instances, failed, workers=engine.workers
    )


def tile_slide(job: Job, engine: Executor, progress: Progress) -> Record:
    """Store the tiles of a slide that touch tissue, and nothing else.

    Raises
    ------
    PathopipeError
        If the slide cannot be opened, or a tile cannot be read.
    """
    clock = Clock(progress)
    with open_slide(job.slide, job.config.slide, job.config.limits) as slide:
        frame = slide.info.frame(job.card.mpp)
        grid = grid_for(job, frame)
        with clock.stage("tissue"):
            tissue = find_tissue(slide, job.config.tissue, job.config.artefacts)
            tiles = grid.touching(tissue, frame)
        source = pixel_source(job, slide, frame, tissue)
        with clock.stage("tiles", len(tiles)):
            failed = run_tiles(FillTiles(source), tiles, 1, engine, clock)
        if failed:
            raise nothing_done(failed, f"{len(failed)} of {len(tiles)} tiles could not be read")
        return Record(job.id, job.slide, "complete", tissue_mm2=tissue.area_mm2, tiles=len(tiles))


def gone_on_with(job: Job, ways: Mapping[Arithmetic, Fingerprints], progress: Progress) -> Arithmetic:
    """Return what the slide's tiles are computed in: what those that are there were, if the workers still can."""
    offers = job.arithmetics or offered(job.config.model)
    held = InstanceStore.held(job.folder.instances)
    begun = next((word for word, prints in ways.items() if prints.instances == held), offers[0])
    if begun in offers:
        return begun
    progress.say(
        f"warning: {job.id} was begun in {begun}, which is not to be had here: all of it is done in {offers[0]}"
    )
    return offers[0]


def computing_in(job: Job, arithmetic: Arithmetic) -> Job:
    """Return ``job`` so that its workers compute in ``arithmetic`` and in nothing else."""
    config = job.config.model_copy(update={"model": meaning(job.config.model, arithmetic)})
    return replace(job, config=config, arithmetics=(arithmetic,))


def grid_for(job: Job, frame: Frame) -> TileGrid:
    """Return the tiles that a slide is cut into in ``frame``.

    Raises
    ------
    ConfigError
        If tile and halo do not leave a core, or do not fit the model.
    LimitError
        If there are more than the settings allow, as with a resolution that cannot be true.
    """
    card = job.card
    grid = TileGrid.cover(
        frame.width, frame.height, job.config.grid, card.halo_px, card.stride_px, card.neighbourhood_px
    )
    job.config.limits.check("max_tiles", len(grid), f"{job.slide}: tiles")
    return grid


def pixel_source(job: Job, slide: Slide, frame: Frame, tissue: Tissue) -> PixelSource:
    """Return where workers get the slide's tiles, the tile store made ready for them."""
    path, spec = (job.folder.tiles if job.config.store.keep else None), job.config.store
    if path is not None:
        if not TileStore.matches(path, slide.info, frame, spec):
            discard(path)  # of another slide, resolution or version: its pixels answer no question of this run
        TileStore.open(path, slide, frame, spec, tissue)
        clear_partial(path)
    return PixelSource(job.slide, slide.info.identity, pinned(job.config.slide, slide.info), frame, path, spec)


def analyse_tiles(
    job: Job,
    source: PixelSource,
    tiles: Sequence[Tile],
    instances: InstanceStore,
    engine: Executor,
    clock: Clock,
) -> Failed:
    """Have those of ``tiles`` analysed that are not yet; return those that cannot be.

    Raises
    ------
    OutputDiskError
        If the disk is full; it says how much is missing.
    """
    missing = instances.missing(tiles)
    doubt = shortage([tile.core for tile in missing], job.config.store.keep, job.folder.path)
    if doubt:
        clock.progress.say(f"warning: the disk may become full: {doubt}")
    task = predict_tiles(job, source, instances)
    with clock.stage("cells", len(tiles), len(tiles) - len(missing)):
        try:
            # The largest first, so that no worker is left with one while the others have nothing more to do.
            ordered = sorted(missing, key=lambda tile: -tile.read.area)
            failed = run_tiles(task, ordered, job.batch_tiles, engine, clock)
        except OutputDiskError as error:
            left = instances.missing(tiles)
            doubt = shortage([tile.core for tile in left], job.config.store.keep, job.folder.path)
            raise OutputDiskError(f"{error}; {doubt or f'{len(left)} tiles are left'}") from error
    instances.clear_temporary()  # what workers were writing that died meanwhile
    log_failed(failed, job.folder)
    return failed


def predict_tiles(job: Job, source: PixelSource, instances: InstanceStore) -> PredictTiles:
    """Return the task that has tiles of ``source`` analysed into ``instances``."""
    whole = job.batch_tiles > 1
    return PredictTiles(source, job.config.model, instances.folder, instances.fingerprint, whole)


def seen_enough(slide: PatchySlide) -> shapely.Geometry:
    """Return where the slide could not be looked at for tissue, in level-0 pixels.

    Raises
    ------
    SlideError
        If that is more than half of it.
    """
    unseen = slide.unread
    if slide.error and unseen.area > slide.info.width * slide.info.height / 2:
        raise slide.error
    return unseen
