"""A field looked at again: areas stay those of the stated resolution, whatever the zoom."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from pathopipe.engine import zoom as module
from pathopipe.engine.worker import PixelSource
from pathopipe.engine.zoom import Look, LookAgain
from pathopipe.geometry import Frame, Outlines, Rect
from pathopipe.instances import Instances
from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_card
from pathopipe.slide.base import SlideSpec
from pathopipe.store.spec import StoreSpec
from tests.support.drawn_slides import write_tiff


class Dark:
    """Finds what is darker than half."""

    card = load_card(ModelSpec())

    def predict(self, tiles):
        dark = (tiles[0].mean(axis=2) < 128).astype(np.uint8)
        rings = [ring[:, 0] + 0.5 for ring in cv2.findContours(dark, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]]
        outlines = Outlines.of(ring.astype(np.float32) for ring in rings if len(ring) > 8)
        count = len(outlines)
        return [Instances(outlines, np.ones(count, np.float32), np.zeros(count, np.uint8), ("Nucleus",))]


@pytest.fixture
def look_again(tmp_path, monkeypatch):
    """The task on a slide of 4 × 4 discs, 40 px across, at 0.25 µm/px: 78.5 µm² each."""
    rgb = np.full((512, 512, 3), 230, np.uint8)
    for x in range(64, 512, 128):
        for y in range(64, 512, 128):
            cv2.circle(rgb, (x, y), 20, (60, 40, 90), -1)
    path = write_tiff(tmp_path / "discs.tif", [rgb], 0.25)
    monkeypatch.setattr(module, "open_predictor", lambda spec: Dark())
    source = PixelSource(str(path), "", SlideSpec(), Frame.at(0.5, 512, 512, 0.25, 0.25), None, StoreSpec())
    return LookAgain(source, ModelSpec())


@pytest.mark.parametrize("zoom", [0.5, 1.0, 2.0])
def test_the_areas_are_those_on_the_glass(look_again, zoom):
    areas = look_again(Look(Rect(0, 0, 512, 512), zoom))
    assert len(areas) == 16
    diameter = 2 * np.sqrt(np.median(areas) / np.pi)
    assert diameter == pytest.approx(10, abs=0.5 / zoom + 0.3)  # contours run through the outermost pixels


def test_only_what_is_in_the_field_is_found(look_again):
    assert len(look_again(Look(Rect(0, 0, 256, 256), 2.0))) == 4
    assert len(look_again(Look(Rect(256.5, 0.25, 384.5, 128.25), 2.0))) == 1


def test_a_field_that_cannot_be_read_has_no_cells(look_again):
    gone = replace(look_again.source, slide=look_again.source.slide + ".gone")
    assert LookAgain(gone, look_again.model)(Look(Rect(0, 0, 512, 512), 1.0)) == ()
