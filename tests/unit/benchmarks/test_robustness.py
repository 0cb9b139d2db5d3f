"""The whole of the robustness and calibration scripts, on drawn images with a predictor that sees what is dark."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import robustness
from alterations import Series, misstated
from calibration import group_of, judged
from robustness import SETS, Measured, measured, panels, section, sets_of

from pathopipe.geometry import Outlines
from pathopipe.instances import Instances
from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_card


class Dark:
    """Finds what is darker than half, and scores it by how dark it is."""

    card = replace(load_card(ModelSpec()), halo_px=16)

    def predict(self, tiles):
        return [self._of(tile) for tile in tiles]

    def _of(self, tile):
        dark = (tile.mean(axis=2) < 128).astype(np.uint8)
        rings = [ring[:, 0] + 0.5 for ring in cv2.findContours(dark, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0]]
        rings = [ring.astype(np.float32) for ring in rings if len(ring) > 8]
        score = [1 - tile[int(ring[:, 1].mean()), int(ring[:, 0].mean())].mean() / 255 for ring in rings]
        return Instances(
            Outlines.of(rings), np.asarray(score, np.float32), np.zeros(len(rings), np.uint8), ("Nucleus",), {}
        )


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Both sets, three images each, of dark discs 12 px across."""
    folder = tmp_path_factory.mktemp("sets")
    names = {"miccai_seg15": ("a_20x", "b_20x", "c_40x"), "tcga_glioma36": ("TCGA-1", "TCGA-2", "TCGA-3")}
    for name, stems in names.items():
        for stem in stems:
            rgb, labels = np.full((96, 96, 3), (230, 190, 220), np.uint8), np.zeros((96, 96), np.uint16)
            for number, (x, y) in enumerate([(20, 20), (60, 30), (40, 70)], 1):
                cv2.circle(rgb, (x, y), 6, (80, 50, 110), -1)
                cv2.circle(labels, (x, y), 6, number, -1)
            for kind, image in (("images", rgb[..., ::-1]), ("labels", labels)):
                (folder / name / kind).mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / name / kind / f"{stem}.png"), image)
    return folder


def test_a_few_images_are_spread_over_the_set(data):
    with sets_of(data, 2) as folders:
        found = {name: sorted(path.name for path in (folder / "images").iterdir()) for name, folder in folders.items()}
        assert found["miccai_seg15"] == ["a_20x.png", "c_40x.png"]
        assert sorted(path.name for path in (folders["miccai_seg15"] / "labels").iterdir()) == found["miccai_seg15"]
    with sets_of(data, None) as folders:
        assert folders["tcga_glioma36"] == data / "tcga_glioma36"


def test_what_is_measured_follows_the_alteration(data):
    folder = data / "miccai_seg15"
    plain = measured(Dark(), folder, (lambda rgb, mpp: (rgb, mpp),))
    assert plain.f1 == plain.f1_low == plain.f1_high == 1
    assert 0.7 < plain.pq <= 1
    assert plain.found == 1
    wide = measured(Dark(), folder, (lambda rgb, mpp: misstated(rgb, mpp, 2.0),))
    assert wide.diameter_um == pytest.approx(2 * plain.diameter_um, rel=0.15)
    bright = measured(Dark(), folder, (lambda rgb, mpp: (np.full_like(rgb, 255), mpp), lambda rgb, mpp: (rgb, mpp)))
    assert (bright.f1, bright.f1_low, bright.f1_high) == (0.5, 0, 1)
    assert bright.found == 0.5


def test_the_section_and_the_curves_hold_every_value():
    scale = Series("scale error", "x", 1.0, (0.7, 1.3), lambda _: ())
    results = {}
    for name in SETS:
        results["unaltered", 0.0, name] = Measured(0.8, 0.6, 6.0, 1.1, 0.8, 0.8, False)
        results["scale error", 0.7, name] = Measured(0.7, 0.5, 4.4, 0.9, 0.65, 0.75, True)
        results["scale error", 1.3, name] = Measured(0.75, 0.55, 7.4, 1.2, 0.75, 0.75, False)
    text = section([scale], results, "note")
    assert text.startswith("note")
    assert "| scale error | 0.7 | 0.700 (-0.100) [0.650, 0.750] | 0.500 |" in text
    assert "| 1.3 | 7.4 | 1.20 | no |" in text
    assert "| 0.7 | 4.4 | 0.90 | yes |" in text
    (panel,) = panels([scale], results)
    assert panel.curves[0].points == ((0.7, 0.7), (1.0, 0.8), (1.3, 0.75))
    assert panel.mark == 1.0


def test_detections_are_judged_with_their_scores(data):
    path = data / "miccai_seg15" / "images" / "c_40x.png"
    found = judged(Dark(), data / "miccai_seg15", path)
    assert found.right.tolist() == [True] * 3
    assert found.score == pytest.approx(np.full(3, 1 - np.mean([80, 50, 110]) / 255), abs=0.01)
    assert found.agreement.f1 == 1
    assert group_of("miccai_seg15", path) == "MICCAI 2015 40x"
    assert group_of("tcga_glioma36", data / "tcga_glioma36" / "images" / "TCGA-1.png") == "TCGA gliomas"


def test_both_sets_have_a_title():
    assert set(robustness.SETS) == {"miccai_seg15", "tcga_glioma36"}
