"""Every setting is in the fingerprint that it belongs to, and in no other: none can be forgotten."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pathopipe.config import Config, load_config
from pathopipe.geometry import Frame
from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_card
from pathopipe.record import Fingerprints
from pathopipe.slide.base import Scale
from pathopipe.tiling.grid import TileGrid
from tests.support.slides import ArraySlide

# What a change of the setting has to redo, and another value than the default.
TILES = {  # the tiles, and all that is made of them
    "grid.tile_px": 512,
    "grid.halo_px": 80,
    "store.chunk_px": 256,
    "model.min_score": 0.9,
}
RESULTS = {  # stitching, files and scores alone
    "tissue.enabled": "false",
    "tissue.mpp": 4,
    "tissue.sensitivity": 2,
    "tissue.min_area_um2": 1,
    "tissue.min_hole_um2": 1,
    "tissue.closing_um": 1,
    "artefacts.enabled": "false",
    "artefacts.pen": "false",
    "artefacts.black": "false",
    "artefacts.folds": "false",
    "artefacts.fold_contrast": 2,
    "artefacts.min_area_um2": 1,
    "artefacts.margin_um": 1,
    "artefacts.cells": "false",
    "stitch.seam_margin_um": 3,
    "stitch.same_iou": 0.5,
    "stitch.same_within": 0.5,
    "annotations.coords": "level0",
    "annotations.part_cells": 10,
    "scale_check.enabled": "false",
    "scale_check.min_cells": 5,
    "scale_check.min_per_mm2": 5,
    "scale_check.min_median_um": 1,
    "scale_check.max_median_um": 20,
    "scale_check.min_zoomed_um": 1,
    "scale_check.max_zoomed_um": 20,
}
OPENED = {  # the tiles, by what came of opening slide and model: settings that come to the same redo nothing
    "slide.reader": "tiffslide",
    "slide.mpp": 0.3,
    "slide.mpp_if_missing": 0.3,
    "model.name": "other.safetensors",
}
COMPUTED = {  # what the tiles may be computed in; what they were computed in is in the fingerprint
    "model.bf16": "'on'",
    "model.int8": "'on'",
}
NOTHING = {  # where the work is done, what is kept, and what is refused
    "grid.crop": "false",
    "store.keep": "false",
    "model.device": "cpu",
    "model.batch_tiles": 2,
    "engine.cluster": "serial",
    "engine.workers": 7,
    "engine.in_flight": 9,
    "engine.start_timeout_s": 9,
    "limits.max_slide_px": 1e15,
    "limits.max_tiles": 9e6,
    "limits.max_block_px": 5e8,
    "limits.max_blocks": 5e7,
    "limits.max_levels": 2000,
    "limits.max_image_px": 5e8,
    "limits.max_text_bytes": 5e9,
    "limits.max_table_bytes": 5e8,
}
CARD = load_card(ModelSpec())
INFO = ArraySlide(np.full((640, 640, 3), 200, np.uint8), 0.5).info


def in_each(*settings, info=INFO, card=CARD):
    config = load_config(settings=settings)
    frame = Frame.at(card.mpp, info.width, info.height, info.scale.x, info.scale.y)
    grid = TileGrid.cover(frame.width, frame.height, config.grid, card.halo_px, card.stride_px)
    return Fingerprints.in_each(info, frame, grid, card, config)


def prints(*settings, info=INFO, card=CARD):
    return in_each(*settings, info=info, card=card)["float32"]


def keys():
    return [f"{section}.{key}" for section, values in Config().model_dump().items() for key in values]


def test_every_setting_is_said_to_redo_something_or_nothing():
    told = [*TILES, *RESULTS, *OPENED, *COMPUTED, *NOTHING]
    assert sorted(told) == sorted(keys()), "a new setting belongs into one of the tables of this test"


@pytest.mark.parametrize("key", sorted(set(keys()) - set(COMPUTED)))
def test_a_setting_redoes_what_depends_on_it_and_nothing_else(key):
    value = {**TILES, **RESULTS, **OPENED, **NOTHING}[key]
    before, after = (
        prints(),
        prints(f"{key}={value:.0f}" if isinstance(value, float) and value > 1 else f"{key}={value}"),
    )
    assert (before.instances != after.instances) == (key in TILES)
    assert (before.results != after.results) == (key in TILES or key in RESULTS)


def test_what_the_tiles_were_computed_in_is_in_the_fingerprint():
    ways = in_each()
    assert len({each.instances for each in ways.values()}) == len({each.results for each in ways.values()}) == 5
    for key, value in COMPUTED.items():
        left = in_each(f"{key}={value}")
        assert left
        assert left.items() < ways.items()


@pytest.mark.parametrize(
    "changed",
    [
        {"info": replace(INFO, identity="other")},
        {"info": replace(INFO, reader="other")},
        {"info": replace(INFO, scale_found=Scale(0.49, 0.5, "given by the user"))},
        {"info": replace(INFO, width=65)},
        {"card": replace(CARD, sha256="0" * 64)},
        {"card": replace(CARD, mpp=0.25)},
        {"card": replace(CARD, halo_px=72)},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_what_came_of_opening_slide_and_model_redoes_the_tiles(changed):
    assert prints(**changed).instances != prints().instances
    assert prints(**changed).results != prints().results


def test_a_copy_of_the_slide_and_where_its_scale_was_found_redo_nothing():
    moved = replace(INFO, path="elsewhere.svs", scale_found=replace(INFO.scale, source="given by the user"))
    assert prints(info=moved) == prints()
