"""Tiles that could not be analysed: they are set aside, and everything says so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import shapely

from pathopipe.engine.base import Executor
from pathopipe.engine.tasks import FillTiles, PredictTiles, TileOutcome, set_aside
from pathopipe.errors import SlideError
from pathopipe.files import write_text
from pathopipe.geometry import Frame
from pathopipe.layout import SlideFolder
from pathopipe.record import Clock
from pathopipe.tiling.grid import Tile

Failed = Mapping[Tile, TileOutcome]
"""Tiles that could not be analysed, by row, then column; each outcome says why."""

_MOST_TRACES = 20


def run_tiles(
    task: PredictTiles | FillTiles, tiles: Sequence[Tile], batch_tiles: int, engine: Executor, clock: Clock
) -> Failed:
    """Have ``task`` done for all ``tiles``, ``batch_tiles`` at a time; return those that failed."""
    failed: dict[Tile, TileOutcome] = {}
    suspects: list[Tile] = []

    def done(batch: tuple[Tile, ...], outcomes: tuple[TileOutcome, ...]) -> None:
        failed.update({outcome.tile: outcome for outcome in outcomes if outcome.error is not None})
        clock.progress.advance(len(batch))
        for outcome in outcomes:
            clock.worked(outcome.spent)

    def lost(batch: tuple[Tile, ...], reason: str) -> None:
        if len(batch) > 1:
            suspects.extend(batch)
        else:
            done(batch, (set_aside(batch[0], reason),))

    batches = (tuple(tiles[start : start + batch_tiles]) for start in range(0, len(tiles), batch_tiles))
    engine.each(task, batches, done, lost)
    engine.each(task, ((tile,) for tile in suspects), done, lost)
    return dict(sorted(failed.items(), key=lambda each: (each[0].row, each[0].col)))


def nothing_done(failed: Failed, what: str) -> SlideError:
    """Return the error of a slide that nothing can be told of; it carries the first tile's traceback."""
    error = SlideError(f"{what}: {_first(failed)}")
    error.add_note(_traces(failed))
    return error


def why_incomplete(failed: Failed, tissue_mm2: float, slide_mm2: float) -> str | None:
    """Return in one line what is missing, and why; None where nothing is.

    Parameters
    ----------
    failed : Failed
        Tiles that could not be analysed.
    tissue_mm2 : float
        Tissue that was not analysed.
    slide_mm2 : float
        Area of the slide that was not analysed, or not looked at for tissue.
    """
    again = "run the same command again to try just what is missing"
    if failed:
        count = f"{len(failed)} tile{'s' * (len(failed) != 1)} with {tissue_mm2:.3g} mm² of tissue"
        return f"{count} could not be analysed: {_first(failed)}; {again}"
    if slide_mm2:
        return f"{slide_mm2:.3g} mm² of the slide could not be read, and may hold tissue; {again}"
    return None


def as_json(failed: Failed) -> list[dict[str, Any]]:
    """Return the tiles as ``slide.json`` has them: name, box in working pixels, and why."""
    return [{"tile": tile.name, "core": list(tile.core), "error": each.error} for tile, each in failed.items()]


def log_failed(failed: Failed, folder: SlideFolder) -> None:
    """Write why tiles failed, with their tracebacks, into the slide's log."""
    if failed:
        write_text(folder.log, folder.veil.over(_traces(failed)) if folder.veil else _traces(failed))


def _traces(failed: Failed) -> str:
    told = [f"tile {tile.name}: {each.error}\n{each.trace}" for tile, each in failed.items()]
    more = f"… and {len(told) - _MOST_TRACES} more tiles\n" if len(told) > _MOST_TRACES else ""
    return "\n".join(told[:_MOST_TRACES]) + more


def area_of(failed: Failed, frame: Frame) -> shapely.Geometry:
    """Return what the failed tiles answered for, in level-0 pixels."""
    return shapely.union_all([shapely.box(*frame.to_level0(tile.core.clipped(frame.box))) for tile in failed])


def _first(failed: Failed) -> str:
    return str(next(iter(failed.values())).error)
