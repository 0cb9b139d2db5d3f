"""Tiles leave out what holds no tissue, and nobody can tell: the same cells, to the byte."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from pathopipe.batch.run import run_batch
from pathopipe.config import load_config
from pathopipe.engine.serial import SerialExecutor
from pathopipe.geometry import Box
from pathopipe.layout import SlideFolder
from pathopipe.models.load import load_card
from pathopipe.progress import Silent
from pathopipe.record import Record
from pathopipe.slide.find import find_slides
from pathopipe.synth.region import draw_region
from pathopipe.synth.spec import SynthSpec
from tests.support.cli import results


def run(slide, out, **settings):
    """Analyse ``slide`` in this process; return its folder."""
    config = load_config(**settings)
    run_batch(find_slides([str(slide)]), out, config, load_card(config.model), SerialExecutor(), Silent(), ["run"])
    folder = out / slide.stem
    assert Record.load(SlideFolder(folder)).status == "complete"
    return folder


def pixels_stored(folder):
    """Bytes of the chunks that were decoded."""
    return sum(path.stat().st_size for path in (folder / "tiles.zarr" / "0").rglob("c/*/*") if path.is_file())


def cores_of(folder):
    """What the tiles answer for, as their files say."""
    return {str(np.load(path)["of"]).partition(" ")[2] for path in (folder / "instances").glob("*.npz")}


@pytest.fixture(scope="module", params=[512, 1024])
def whole(request, drawn_slide, tmp_path_factory):
    """The drawn slide in tiles of a size, analysed without cropping."""
    grid = {"tile_px": request.param}
    return grid, run(drawn_slide.slide, tmp_path_factory.mktemp("whole"), grid={**grid, "crop": False})


@pytest.mark.parametrize("batch", [1, 3])
def test_the_cells_of_cropped_tiles_are_those_of_whole_ones(drawn_slide, whole, tmp_path, batch):
    grid, uncropped = whole
    folder = run(drawn_slide.slide, tmp_path, grid=grid, model={"batch_tiles": batch})
    assert results(folder) == results(uncropped)
    assert pixels_stored(folder) <= pixels_stored(uncropped)
    assert cores_of(folder) != cores_of(uncropped)


@pytest.fixture(scope="module")
def at_the_border(tmp_path_factory):
    """An image of 0.5 µm/px that tissue fills from three of its borders to the middle, with a speck beside it."""
    side = 700
    drawn = draw_region(
        SynthSpec(width=2048, height=2048, mpp=0.5, tissue_fraction=1.0), Box(900, 900, 900 + side, 900 + side)
    )
    rgb = drawn.rgb.copy()
    glass = np.ones((side, side), bool)
    glass[:, :333] = glass[560:690, 555:688] = False
    rgb[glass] = 243
    path = tmp_path_factory.mktemp("border") / "region.tif"
    resolution = {"resolution": (2e4, 2e4), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, rgb, tile=(256, 256), photometric="rgb", **resolution)
    return path


@pytest.mark.parametrize("enabled", [True, False], ids=["tissue", "whole slide"])
@pytest.mark.parametrize("tile_px", [320, 1024])
def test_so_they_are_where_tissue_ends_at_the_slides_border(at_the_border, tmp_path, tile_px, enabled):
    tissue = {"enabled": enabled, "min_area_um2": 1000.0}
    settings = {"tissue": tissue, "artefacts": {"enabled": False}, "scale_check": {"enabled": False}}
    one, other = (
        run(at_the_border, tmp_path / str(crop), grid={"tile_px": tile_px, "crop": crop}, **settings)
        for crop in (True, False)
    )
    assert results(one) == results(other)
    assert Record.load(SlideFolder(one)).cells > 100


def test_other_tissue_settings_redo_the_tiles_whose_box_they_change_and_no_other(drawn_slide, tmp_path):
    settings = {"grid": {"tile_px": 512}, "artefacts": {"enabled": False}}
    folder = run(drawn_slide.slide, tmp_path / "one", **settings)
    files = list((folder / "instances").glob("*.npz"))
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files}
    everything = {"enabled": False}
    run(drawn_slide.slide, tmp_path / "one", tissue=everything, **settings)
    redone = {path for path in files if path.stat().st_mtime_ns != before[path][0]}
    assert redone == {path for path in files if path.read_bytes() != before[path][1]}
    assert 0 < len(redone) < len(files)
    anew = run(drawn_slide.slide, tmp_path / "two", tissue=everything, **settings)
    assert results(folder) == results(anew)
