"""The tile store over real slides, through the readers that a run uses."""

from __future__ import annotations

import numpy as np
import pytest
import zarr

from pathopipe.geometry import Box
from pathopipe.slide import SlideSpec, open_slide
from pathopipe.store.spec import StoreSpec
from pathopipe.store.tiles import TileStore

SPEC = StoreSpec(chunk_px=256)


@pytest.mark.parametrize(
    ("name", "mpp", "at"),
    [
        ("cmu-1-small-region.svs", None, 0.5),  # JPEG, between levels by a hair
        ("cmu-1-small-region.svs", None, 0.499),  # a level's own pixels
        ("cmu-1-small-region.svs", None, 0.998),  # whole steps
        ("tcga-cr-7395-01a-01-ts1.svs", 0.25, 0.5),  # JPEG 2000, without a resolution of its own
    ],
)
def test_stored_unstored_and_through_zarr_are_the_same_pixels(real_data, tmp_path, name, mpp, at):
    slide, spec = real_data / "slides" / name, SlideSpec(mpp=mpp)
    with open_slide(slide, spec) as opened:
        frame = opened.info.frame(at)
    middle = Box(frame.width // 2, frame.height // 2, frame.width // 2 + 300, frame.height // 2 + 200)
    corner = Box(frame.width - 150, frame.height - 100, frame.width + 50, frame.height + 50)
    with (
        TileStore.open(None, open_slide(slide, spec), frame, SPEC) as unkept,
        TileStore.open(tmp_path / "tiles.zarr", open_slide(slide, spec), frame, SPEC) as first,
        TileStore.open(tmp_path / "tiles.zarr", open_slide(slide, spec), frame, SPEC) as second,
    ):
        level = zarr.open_array(tmp_path / "tiles.zarr" / "0", mode="r")
        for box in (middle, corner):
            pixels = unkept.read(box)
            assert np.array_equal(first.read(box), pixels)
            assert np.array_equal(second.read(box), pixels)
            inside = box.clipped(frame.box)
            stored = np.asarray(level[:, inside.y0 : inside.y1, inside.x0 : inside.x1]).transpose(1, 2, 0)
            assert np.array_equal(stored, pixels[: inside.height, : inside.width])
        assert second.decoded == 0
        assert first.decoded == second.reused
