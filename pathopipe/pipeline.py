"""The main job on one slide, from pixels to layers and scores. Start reading here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace

import numpy as np
import shapely

from pathopipe.annotations.layers import write_annotations
from pathopipe.annotations.palette import palette
from pathopipe.annotations.write import Written, block_cells, cell_files
from pathopipe.annotations.written import WrittenCells
from pathopipe.config import Config
from pathopipe.engine.base import Executor
from pathopipe.engine.blocks import WriteBlock, in_blocks, write_blocks
from pathopipe.engine.tasks import FillTiles, PredictTiles
from pathopipe.engine.worker import PixelSource
from pathopipe.engine.zoom import Look, LookAgain
from pathopipe.errors import OutputDiskError, SlideError
from pathopipe.files import clear_temporary, temporary_folder
from pathopipe.geometry import Frame
from pathopipe.layout import SlideFolder
from pathopipe.models.arithmetic import Arithmetic, meaning, offered
from pathopipe.models.base import ModelCard
from pathopipe.models.device import visible_gpus
from pathopipe.models.impostors import KINDS as IMPOSTORS
from pathopipe.models.impostors import impostors
from pathopipe.progress import Progress
from pathopipe.quarantine import Failed, area_of, as_json, log_failed, nothing_done, run_tiles, why_incomplete
from pathopipe.record import Clock, Fingerprints, Record
from pathopipe.report.field import densest_field
from pathopipe.report.overview import save_overview
from pathopipe.scores.base import ScoreContext
from pathopipe.scores.files import write_scores
from pathopipe.scores.run import compute_scores
from pathopipe.scores.scale import scale_remark, sparse_remark, zoom_for
from pathopipe.slide.base import Slide, SlideInfo
from pathopipe.slide.describe import describe
from pathopipe.slide.identity import modified
from pathopipe.slide.open import open_slide, pinned
from pathopipe.slide.patchy import PatchySlide
from pathopipe.space import shortage
from pathopipe.stitch.stitch import Reported, inside, stitch
from pathopipe.store.instances import InstanceStore
from pathopipe.store.layout import clear_partial, discard
from pathopipe.store.tiles import TileStore
from pathopipe.tiling.grid import Tile, TileGrid
from pathopipe.tiling.spec import ArtefactSpec
from pathopipe.tiling.tissue import Tissue, find_tissue


@dataclass(frozen=True, slots=True)
class Job:
    """One slide to analyse, and how."""

    id: str
    """Name of its folder."""
    slide: str
    """An absolute path, or a URL."""
    folder: SlideFolder
    config: Config
    card: ModelCard
    """Of the model that ``config.model`` names."""
    batch_tiles: int
    """Tiles per task and forward pass."""
    arithmetics: tuple[Arithmetic, ...] = ()
    """What all workers can compute in, the fastest first; none is what this machine can."""


def analyse_slide(job: Job, engine: Executor, progress: Progress) -> Record:
    """Analyse one slide into its folder; run again, it does only what is missing.

    Parameters
    ----------
    job : Job
        The slide and the settings.
    engine : Executor
        Where the tiles are worked on.
    progress : Progress
        Told what goes on.

    Returns
    -------
    Record
        What was read, done and found, as in ``slide.json``.

    Raises
    ------
    PathopipeError
        If the slide cannot be analysed at all; what was done before stays.
    """
    begun = begin_slide(job, engine, Clock(progress))
    return finish_slide(begun, engine) if isinstance(begun, Begun) else begun


@dataclass(frozen=True)
class Begun:
    """A slide whose tiles are done, and what its finish needs of them."""

    job: Job
    clock: Clock
    prints: Fingerprints
    slide: PatchySlide
    """Open until the finish."""
    frame: Frame
    source: PixelSource
    tissue: Tissue
    unseen: shapely.Geometry
    """Where the slide could not be looked at for tissue, in level-0 pixels."""
    tiles: Sequence[Tile]
    instances: InstanceStore
    failed: Failed
    workers: int
    """How many worked on the tiles."""


def begin_slide(job: Job, engine: Executor, clock: Clock) -> Begun | Record:
    """Do the first part of :func:`analyse_slide`: find the tissue and have its tiles analysed by the workers.

    Returns
    -------
    Begun or Record
        What :func:`finish_slide` goes on with, in this thread or another; or the record of a slide that is complete.
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
        instances = InstanceStore.open(folder.instances, prints.instances)
        failed = analyse_tiles(job, source, tiles, instances, engine, clock)
        opened.pop_all()
    return Begun(
        job, clock, prints, slide, frame, source, tissue, unseen, tiles, instances, failed, workers=engine.workers
    )


def finish_slide(begun: Begun, engine: Executor) -> Record:
    """Do the second part of :func:`analyse_slide`: put the cells of the tiles together and write all results."""
    job, clock, slide, tissue, failed = begun.job, begun.clock, begun.slide, begun.tissue, begun.failed
    config, folder, classes = job.config, job.folder, job.card.classes
    with slide:
        with clock.stage("stitch"):
            done = [tile for tile in begun.tiles if tile not in failed]
            if begun.tiles and not done:
                raise nothing_done(failed, "none of its tiles could be analysed")
            lost = shapely.union(area_of(failed, begun.frame), begun.unseen)
            analysed = tissue.polygons if lost.is_empty else shapely.difference(tissue.polygons, lost)
        with clock.stage("write"):
            check_unchanged(job, slide.info)
            nuclei = Nuclei(tissue, analysed, config.artefacts)
            reported = nuclei.among(stitch(done, begun.instances.get, begun.frame, config.stitch))
            cells = clock.apart("stitch", reported, "write")
            written = write_cells(job, slide.info, begun.instances, cells, engine)
            found = WrittenCells.read(folder.cells_parquet, classes)
        with clock.stage("scale"):
            remarks = doubts(begun, found, engine, tissue.area_mm2 if lost.is_empty else None)
        with clock.stage("write"):
            record = write_results(job, slide, tissue, lost, failed, written, found)
    for remark in remarks:
        clock.progress.say(f"warning: {remark}")
    record = replace(record, tiles=len(begun.tiles), cells_not_nuclei=nuclei.others, remarks=remarks)
    record = replace(record, **clock.told(begun.workers, bool(visible_gpus(config.model.device))))
    return replace(record, fingerprint=asdict(begun.prints)).sealed(folder).save(folder)


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
            failed = run_tiles(task, missing, job.batch_tiles, engine, clock)
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


def check_unchanged(job: Job, info: SlideInfo) -> None:
    """Make sure that the file is still the one that was opened.

    Raises
    ------
    SlideError
        If it is not, or is gone.
    """
    with open_slide(job.slide, job.config.slide) as now:
        if now.info.identity != info.identity:
            raise SlideError(f"{job.slide} was replaced while it was analysed; run the same command again")


def write_cells(
    job: Job, info: SlideInfo, instances: InstanceStore, cells: Iterable[Reported], engine: Executor
) -> Written:
    """Write ``cells``, all of the slide in the order of its files, to GeoJSON and GeoParquet."""
    folder, spec = job.folder, job.config.annotations
    blocks = in_blocks(((part.tile, part.index) for part in cells), block_cells(spec))
    with (
        temporary_folder(folder.blocks) as path,
        cell_files(folder.cells_geojson, folder.cells_parquet, info) as add,
    ):
        task = WriteBlock(instances.folder, instances.fingerprint, job.card.classes, path, info, spec)
        return write_blocks(task, blocks, engine, add)


class Nuclei:
    """What of a slide's instances is reported: nuclei in the tissue that was analysed."""

    def __init__(self, tissue: Tissue, analysed: shapely.Geometry, spec: ArtefactSpec) -> None:
        self._tissue, self._analysed, self._spec = tissue, analysed, spec
        self._counts = np.zeros(1 + len(IMPOSTORS), np.int64)

    def among(self, parts: Iterable[Reported]) -> Iterator[Reported]:
        """Yield of each of ``parts`` those that are reported."""
        for part in parts:
            here = part.take(inside(part.instances, self._analysed))
            found = impostors(here.instances, self._tissue, self._spec)
            self._counts += np.bincount(found, minlength=len(self._counts))
            yield here.take(found == 0)

    @property
    def others(self) -> dict[str, int]:
        """How many in the tissue were ink, dirt or red cells, by kind."""
        return {kind: int(count) for kind, count in zip(IMPOSTORS, self._counts[1:], strict=True) if count}


def doubts(begun: Begun, cells: WrittenCells, engine: Executor, tissue_mm2: float | None) -> list[str]:
    """Return what makes the result doubtful: too few nuclei, or nuclei that do not fit the stated resolution.

    ``tissue_mm2`` is None where a part of the tissue was not analysed.
    """
    job, scale, spec = begun.job, begun.slide.info.scale, begun.job.config.scale_check
    seen, zoom = np.zeros(0), zoom_for(cells.area_um2, spec)
    if zoom is not None:
        # One tile more for the model, whatever the zoom.
        side_um = (job.config.grid.tile_px - 2 * job.card.halo_px) * job.card.mpp / zoom
        look = Look(densest_field(begun.frame, cells.centroids, side_um), zoom)
        found: list[tuple[float, ...]] = []
        task = LookAgain(begun.source, job.config.model)
        engine.each(task, [look], lambda _, areas_um2: found.append(areas_um2), lambda *_: None)
        seen = np.array(found[0] if found else ())
    mpp = (scale.x + scale.y) / 2
    sparse = None if tissue_mm2 is None else sparse_remark(len(cells), tissue_mm2, mpp, spec)
    return [doubt for doubt in (sparse, scale_remark(cells.area_um2, mpp, spec, zoom, seen)) if doubt]


def write_results(
    job: Job,
    slide: Slide,
    tissue: Tissue,
    lost: shapely.Geometry,
    failed: Failed,
    written: Written,
    cells: WrittenCells,
) -> Record:
    """Write the regions, scores and picture of a slide whose cells are written, and why tiles failed."""
    info, folder = slide.info, job.folder
    mm2_per_px = info.scale.x * info.scale.y / 1e6
    analysed_mm2 = shapely.difference(tissue.polygons, lost).area * mm2_per_px
    write_annotations(folder.annotations, tissue, lost, info, job.config.annotations)
    context = ScoreContext(
        area_um2=cells.area_um2,
        class_id=cells.class_id,
        classes=cells.classes,
        score=cells.score,
        tissue_mm2=tissue.area_mm2,
        analysed_mm2=analysed_mm2,
        mpp=(info.scale.x + info.scale.y) / 2,
    )
    write_scores(folder.scores, compute_scores(context))
    masked = shapely.union_all(list(tissue.artefacts.values()))
    save_overview(folder.overview, slide, tissue.polygons, cells, palette(cells.classes), masked)
    return Record(
        id=job.id,
        slide=job.slide,
        status="complete" if lost.is_empty else "incomplete",
        error=why_incomplete(failed, tissue.area_mm2 - analysed_mm2, lost.area * mm2_per_px),
        info=describe(info),
        mpp=context.mpp,
        mpp_source=info.scale.source,
        tissue_mm2=tissue.area_mm2,
        artefact_mm2={kind: round(area.area * mm2_per_px, 6) for kind, area in tissue.artefacts.items()},
        analysed_mm2=analysed_mm2,
        mm2_lost=tissue.area_mm2 - analysed_mm2,
        tiles_failed=as_json(failed),
        cells=written.cells,
        cells_dropped=written.dropped,
        classes=list(cells.classes),
        model={
            "name": job.card.name,
            "version": job.card.version,
            "sha256": job.card.sha256,
            "arithmetic": job.arithmetics[0],
        },
        modified_ns=None if lost.is_empty else modified(job.slide),
    )
