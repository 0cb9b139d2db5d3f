"""The names in an output folder: the contract with users, workflows and other tools (docs/output.md)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pathopipe.veil import Veil

SUMMARY = "summary.csv"
REPORT = "report.html"
RUN = "run.json"
LOCK = ".lock"
TURN = ".turn"
SHARD_LOCKS = ".shards"


@dataclass(frozen=True, slots=True)
class SlideFolder:
    """The files of one slide."""

    path: Path
    veil: Veil | None = None
    """What the files must not tell; None where they may tell all."""

    @property
    def cells_geojson(self) -> Path:
        """The cells for QuPath."""
        return self.path / "cells.geojson.zip"

    @property
    def cells_parquet(self) -> Path:
        """The same cells as GeoParquet."""
        return self.path / "cells.parquet"

    @property
    def annotations(self) -> Path:
        """Tissue, and what was not analysed, for QuPath."""
        return self.path / "annotations.geojson"

    @property
    def scores(self) -> Path:
        """Every slide-level score."""
        return self.path / "scores.json"

    @property
    def overview(self) -> Path:
        """Thumbnail with outlines."""
        return self.path / "overview.png"

    @property
    def record(self) -> Path:
        """What was read, done and found; written last, so its presence says that all else is whole."""
        return self.path / "slide.json"

    @property
    def tiles(self) -> Path:
        """The tile store."""
        return self.path / "tiles.zarr"

    @property
    def instances(self) -> Path:
        """One file a tile with the instances found in it: what a run that was interrupted goes on from."""
        return self.path / "instances"

    @property
    def blocks(self) -> Path:
        """Cells on their way from the workers into the two files of cells; gone when they are there."""
        return self.path / "blocks.tmp"

    @property
    def log(self) -> Path:
        """The traceback of a slide that failed."""
        return self.path / "error.log"

    @property
    def results(self) -> tuple[Path, ...]:
        """What a complete slide has, all but the record."""
        return (self.cells_geojson, self.cells_parquet, self.annotations, self.scores, self.overview)
