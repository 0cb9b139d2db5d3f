"""The main job on one slide: its second part, from the cells of each tile to layers and scores."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray

from pathopipe.annotations.layers import write_annotations
from pathopipe.annotations.palette import palette
from pathopipe.annotations.write import Written, block_cells, cell_files
from pathopipe.annotations.written import WrittenCells
from pathopipe.engine.base import Executor
from pathopipe.engine.blocks import WriteBlock, in_blocks, write_blocks
from pathopipe.engine.zoom import Look, LookAgain
from pathopipe.errors import SlideError
from pathopipe.files import temporary_folder
from pathopipe.job import Begun, Job
from pathopipe.models.device import visible_gpus
from pathopipe.models.impostors import KINDS as IMPOSTORS
from pathopipe.models.impostors import impostors
from pathopipe.quarantine import Failed, area_of, as_json, nothing_done, why_incomplete
from pathopipe.record import Record
from pathopipe.report.field import densest_field
from pathopipe.report.overview import save_overview
from pathopipe.scores.base import ScoreContext
from pathopipe.scores.files import write_scores
from pathopipe.scores.run import compute_scores
from pathopipe.scores.scale import scale_remark, sparse_remark, zoom_for
from pathopipe.slide.base import Slide, SlideInfo
from pathopipe.slide.describe import describe
from pathopipe.slide.identity import modified
from pathopipe.slide.open import open_slide
from pathopipe.stitch.stitch import Reported, inside, stitch
from pathopipe.store.instances import InstanceStore
from pathopipe.tiling.spec import ArtefactSpec
from pathopipe.tiling.tissue import Tissue

NO_TISSUE = (
    "No tissue was found, so nothing was analysed: look at overview.png. If there is some, analyse everything with "
    "--set tissue.enabled=false."
)
_LOOK_PX = 2048
"""Side of the field that is looked at again for the scale check, at most: some thousand nuclei where they are dense."""


Seen: TypeAlias = tuple[float | None, NDArray[np.float64]]
"""The zoom of a second look, None where there was none, and the (n,) areas of the cells in it in µm²."""


def finish_slide(begun: Begun, engine: Executor) -> Record:
    """Put the cells of a slide's tiles together and write all results.

    Parameters
    ----------
    begun : Begun
        Its slide is closed in the end.
    engine : Executor
        Whose workers write the cells, and look at a field again where the resolution is doubtful.

    Returns
    -------
    Record
        What was read, done and found, as in ``slide.json``.

    Raises
    ------
    PathopipeError
        If there is nothing to be told of the slide, or it is not the file any more that was begun.
    """
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
        with second_look(begun, found, engine) as looked:
            with clock.stage("write"):
                record = write_results(job, slide, tissue, lost, failed, written, found).sealed(folder)
            with clock.stage("scale"):
                remarks = doubts(begun, found, looked(), tissue.area_mm2 if lost.is_empty else None)
    for remark in remarks:
        clock.progress.say(f"warning: {remark}")
    record = replace(record, tiles=len(begun.tiles), cells_not_nuclei=nuclei.others, remarks=remarks)
    record = replace(record, **clock.told(begun.workers, bool(visible_gpus(config.model.device))))
    return replace(record, fingerprint=asdict(begun.prints)).save(folder)


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


@contextmanager
def second_look(begun: Begun, cells: WrittenCells, engine: Executor) -> Iterator[Callable[[], Seen]]:
    """Have a worker look at a field again, at the magnification that tells most of the resolution, during the block.

    The context gives a function that waits for the worker, and tells what was seen.
    """
    job = begun.job
    zoom = zoom_for(cells.area_um2, job.config.scale_check)
    if zoom is None:
        yield lambda: (None, np.zeros(0))
        return
    # One tile more for the model, whatever the zoom.
    side_um = (min(job.config.grid.tile_px, _LOOK_PX) - 2 * job.card.halo_px) * job.card.mpp / zoom
    look = Look(densest_field(begun.frame, cells.centroids, side_um), zoom)
    task, found = LookAgain(begun.source, job.config.model), list[tuple[float, ...]]()

    def seen() -> Seen:
        engine.each(task, [look], lambda _, areas_um2: found.append(areas_um2), lambda *_: None)
        return zoom, np.array(found[0] if found else ())

    if not engine.beside:
        yield seen
        return
    with ThreadPoolExecutor(1, "look") as pool:
        yield pool.submit(seen).result


def doubts(begun: Begun, cells: WrittenCells, seen: Seen, tissue_mm2: float | None) -> list[str]:
    """Return what makes the result doubtful: no tissue, too few nuclei, or nuclei that do not fit the resolution.

    ``seen`` is of the :func:`second_look`; ``tissue_mm2`` is None where a part of the tissue was not analysed.
    """
    scale, spec = begun.slide.info.scale, begun.job.config.scale_check
    mpp = (scale.x + scale.y) / 2
    sparse = None if tissue_mm2 is None else sparse_remark(len(cells), tissue_mm2, mpp, spec)
    nothing = NO_TISSUE if begun.tissue.polygons.is_empty else None
    return [doubt for doubt in (nothing, sparse, scale_remark(cells.area_um2, mpp, spec, *seen)) if doubt]


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
