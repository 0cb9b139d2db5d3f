"""A nucleus is found once, wherever the tiles' borders lie."""

from __future__ import annotations

import numpy as np
import pytest
import shapely

from pathopipe.annotations.read import read_outlines
from tests.support.cli import pathopipe


def overlapping(found, reference, iou):
    """For every reference polygon, how many found ones overlap it with at least ``iou``."""
    first, second = shapely.STRtree(found).query(reference)
    shared = shapely.area(shapely.intersection(reference[first], found[second]))
    union = shapely.area(reference[first]) + shapely.area(found[second]) - shared
    return np.bincount(first[shared >= iou * union], minlength=len(reference))


def cells_of(slide, out, tile_px):
    pathopipe("run", slide, "--out", out, "--cluster", "serial", "--set", f"grid.tile_px={tile_px}")
    return read_outlines(out / "drawn" / "cells.geojson.zip").outlines.to_shapely()


@pytest.fixture(scope="module")
def untiled(drawn_slide, tmp_path_factory):
    """The whole slide as one tile."""
    return cells_of(drawn_slide.slide, tmp_path_factory.mktemp("untiled"), 2048)


@pytest.mark.parametrize("tile_px", [320, 576, 1024])
def test_every_nucleus_that_is_found_untiled_is_found_once_tiled(drawn_slide, untiled, tmp_path, tile_px):
    tiled = cells_of(drawn_slide.slide, tmp_path, tile_px)
    truth = read_outlines(drawn_slide.truth).outlines.to_shapely()
    found = overlapping(untiled, truth, 0.5) > 0
    assert found.sum() > 0.5 * len(truth)
    assert set(overlapping(tiled, truth, 0.5)[found]) == {1}
    # and all that the model sees untiled, drawn nucleus or not, it sees once tiled
    assert set(overlapping(tiled, untiled, 0.5)) == {1}
    assert len(tiled) == len(untiled)
