"""Ink, dirt and folds drawn on tissue as it looks from afar, at 8 µm per pixel."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import shapely

from pathopipe.tiling.artefacts import KINDS
from pathopipe.tiling.spec import ArtefactSpec, TissueSpec
from pathopipe.tiling.tissue import find_tissue
from tests.support.slides import ArraySlide
from tests.support.stained import DAB, HAEMATOXYLIN, HE, glass, piece, stained

SHAPE = (300, 400)
TISSUE = piece(*SHAPE, (200, 150), (170, 120), 0)
ON_TISSUE = np.zeros(SHAPE, bool)
ON_TISSUE[100:130, 100:300] = True
INKS = {
    "green": (0.75, 0.20, 0.26),
    "red": (0.06, 0.78, 0.58),
    "blue": (0.95, 0.60, 0.12),
    "black": (1.05, 1.10, 1.20),
}
DARK_LYMPHOID = (105, 60, 135)
CLOT = (126, 48, 89)
DENSE_HE = (175, 100, 160)


def tissue(colour=HE, seed=1):
    return stained(glass(*SHAPE), TISSUE, colour, texture=0.12, seed=seed)


def over(picture, where, density):
    """Return ``picture`` with an ink of that optical density on ``where``."""
    inked = picture * 10 ** -np.array(density)
    return np.where(where[..., None], np.clip(np.round(inked), 0, 255), picture).astype(np.uint8)


def doubled(picture, where):
    """Return ``picture`` with a second layer of itself on ``where``."""
    light = picture / 243
    return np.where(where[..., None], np.clip(np.round(243 * light**2), 0, 255), picture).astype(np.uint8)


def found(rgb, spec=None, **settings):
    return find_tissue(ArraySlide(rgb, 8.0), spec or TissueSpec(), ArtefactSpec(**settings))


def mask_of(polygons):
    mask = np.zeros(SHAPE, np.uint8)
    for part in shapely.get_parts(polygons):
        rings = [np.round(np.asarray(ring.coords) - 0.5).astype(np.int32) for ring in (part.exterior, *part.interiors)]
        cv2.fillPoly(mask, rings, 1)
    return mask.astype(bool)


@pytest.mark.parametrize("colour", [HE, HAEMATOXYLIN, DARK_LYMPHOID], ids=["he", "haematoxylin", "lymphoid"])
@pytest.mark.parametrize("ink", ["green", "red", "blue", "black"])
def test_ink_on_tissue_is_masked_and_little_else(ink, colour):
    result = found(over(tissue(colour), ON_TISSUE, INKS[ink]))
    assert mask_of(result.polygons)[ON_TISSUE].mean() < 0.05
    if (ink, colour) == ("black", HAEMATOXYLIN):
        return  # grey on grey looks like no tissue in the first place
    kind = "black" if ink == "black" else "pen"
    assert set(result.artefacts) == {kind}
    mask = mask_of(result.artefacts[kind])
    assert mask[ON_TISSUE].mean() > 0.95
    assert not (mask & ~cv2.dilate(ON_TISSUE.astype(np.uint8), np.ones((9, 9))).astype(bool)).any()


@pytest.mark.parametrize("ink", ["green", "red", "blue", "black"])
def test_ink_on_glass_is_no_tissue(ink):
    stroke = np.zeros(SHAPE, bool)
    stroke[10:290, 20:50] = True
    assert found(over(glass(*SHAPE), stroke, INKS[ink])).area_mm2 < 0.02 * stroke.sum() * 64e-6


def test_faint_red_ink_is_masked_where_there_is_a_stroke_of_it():
    faint = np.zeros(SHAPE, bool)
    faint[180:195, 150:250] = True
    pale = over(tissue((225, 190, 210)), faint, np.array(INKS["red"]) * 0.35)
    alone = found(pale)
    beside = found(over(pale, ON_TISSUE, INKS["red"]))
    assert alone.artefacts == {}
    assert mask_of(beside.artefacts["pen"])[faint].mean() > 0.9


@pytest.mark.parametrize(
    "colour", [HE, (236, 218, 229), HAEMATOXYLIN, DAB, DARK_LYMPHOID, CLOT, (90, 60, 45), (60, 40, 110)]
)
def test_stains_are_no_artefacts(colour):
    part = piece(*SHAPE, (200, 150), (60, 40))
    picture = stained(tissue(), part, colour, on=HE, texture=0.3)
    assert found(picture).artefacts == {}
    assert found(tissue(colour)).artefacts == {}


def test_a_fold_is_masked_and_a_band_of_nuclei_or_blood_is_not():
    band = np.zeros(SHAPE, np.uint8)
    cv2.ellipse(band, (200, 260), (180, 150), 0, 200, 300, 1, 6)
    band = band.astype(bool)
    fold = found(doubled(tissue(DENSE_HE), band))
    assert set(fold.artefacts) == {"fold"}
    mask = mask_of(fold.artefacts["fold"])
    assert mask[band & TISSUE].mean() > 0.9
    assert mask.sum() < 2 * band.sum()
    for more in ((0.35, 0.38, 0.16), (0.08, 0.45, 0.22)):  # haematoxylin alone, eosin alone
        assert found(over(tissue(DENSE_HE), band, more)).artefacts == {}


def test_a_coverslip_s_edge_is_masked_where_it_crosses_tissue():
    edge = np.zeros(SHAPE, np.uint8)
    cv2.line(edge, (0, 40), (399, 260), 1, 2)
    result = found(over(tissue(), edge.astype(bool), (0.6, 0.6, 0.6)))
    assert set(result.artefacts) == {"black"}
    assert mask_of(result.artefacts["black"])[(edge > 0) & TISSUE].mean() > 0.9


def test_grey_spots_of_dab_on_haematoxylin_are_let_be():
    dots = np.random.default_rng(4).random(SHAPE) > 0.9
    dab = over(
        tissue((200, 190, 180)), cv2.dilate(dots.astype(np.uint8), np.ones((2, 2))).astype(bool), (0.3, 0.36, 0.4)
    )
    assert found(dab).artefacts == {}


@pytest.mark.parametrize(
    ("setting", "picture"),
    [("pen", over(tissue(), ON_TISSUE, INKS["green"])), ("black", over(tissue(), ON_TISSUE, INKS["black"]))],
)
def test_each_kind_can_be_switched_off(setting, picture):
    assert found(picture).artefacts != {}
    whole = found(tissue()).area_mm2
    for off in (setting, "enabled"):
        result = found(picture, **{off: False})
        assert result.artefacts == {}
        assert result.area_mm2 == pytest.approx(whole, rel=0.02)


def test_min_area_and_margin_are_in_um():
    spot = piece(*SHAPE, (200, 150), (10, 10))
    picture = over(tissue(), spot, INKS["green"])
    area_um2 = spot.sum() * 64
    small = found(picture, margin_um=0.0, min_area_um2=0.8 * area_um2).artefacts["pen"].area * 64
    wide = found(picture, margin_um=40.0, min_area_um2=0.8 * area_um2).artefacts["pen"].area * 64
    assert small == pytest.approx(area_um2, rel=0.25)
    assert np.sqrt(wide / np.pi) - np.sqrt(small / np.pi) == pytest.approx(40, abs=10)
    assert found(picture, margin_um=0.0, min_area_um2=1.5 * area_um2).artefacts == {}


def test_kinds_do_not_overlap_each_other_or_the_tissue():
    second = np.zeros(SHAPE, bool)
    second[60:250, 180:210] = True
    result = found(over(over(tissue(), ON_TISSUE, INKS["green"]), second, INKS["black"]))
    shapes = [result.polygons, *result.artefacts.values()]
    assert set(result.artefacts) <= set(KINDS)
    assert all(each.is_valid for each in shapes)
    for index, one in enumerate(shapes):
        for other in shapes[index + 1 :]:
            assert shapely.intersection(one, other).area < 0.01


def test_artefacts_are_masked_where_everything_else_is_analysed():
    result = found(over(tissue(), ON_TISSUE, INKS["green"]), TissueSpec(enabled=False))
    assert mask_of(result.artefacts["pen"])[ON_TISSUE].mean() > 0.95
    total = result.area_mm2 + result.artefacts["pen"].area * 64e-6
    assert total == pytest.approx(result.slide_area_mm2, rel=1e-6)


def test_the_hue_tells_dab():
    assert found(tissue()).blue_over_green < 0.75 < found(tissue(DAB)).blue_over_green
    assert found(glass(*SHAPE)).blue_over_green is None
