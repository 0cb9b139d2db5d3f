"""What is drawn, and whether its truth is true."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from pathopipe.geometry import Box
from pathopipe.synth.block import draw_block
from pathopipe.synth.lattice import Lattice
from pathopipe.synth.layout import layout_of
from pathopipe.synth.region import draw_region
from pathopipe.synth.spec import BLOCK_PX, DrawnRegion, SynthSpec
from pathopipe.synth.stain import stain_of

SPEC = SynthSpec(width=1500, height=1100, seed=7, tissue_fraction=0.9)
WHOLE = Box(0, 0, SPEC.width, SPEC.height)


@pytest.fixture(scope="module")
def whole() -> DrawnRegion:
    return draw_region(SPEC, WHOLE)


@given(x=st.integers(-300, 5000), pitch=st.floats(3, 500), cut=st.integers(1, 30))
@settings(deadline=None, max_examples=25)
def test_noise_depends_on_the_place_alone(x: int, pitch: float, cut: int) -> None:
    axis = np.arange(x, x + 40) + 0.5
    lattice = Lattice(3, "any")
    np.testing.assert_array_equal(
        lattice.noise(axis, axis, pitch)[cut:, cut:], lattice.noise(axis[cut:], axis[cut:], pitch)
    )


def test_noise_has_mean_0_and_deviation_1() -> None:
    axis = np.arange(400) + 0.5
    noise = Lattice(1, "any").noise(axis, axis, 5.0)
    assert abs(float(noise.mean())) < 0.05
    assert float(noise.std()) == pytest.approx(1, abs=0.05)


@given(x0=st.integers(0, SPEC.width - 2), y0=st.integers(0, SPEC.height - 2), data=st.data())
@settings(deadline=None, max_examples=4)
def test_a_part_is_the_same_drawn_alone(whole: DrawnRegion, x0: int, y0: int, data: st.DataObject) -> None:
    box = Box(x0, y0, data.draw(st.integers(x0 + 1, SPEC.width)), data.draw(st.integers(y0 + 1, SPEC.height)))
    part = draw_region(SPEC, box)
    here = (slice(box.y0, box.y1), slice(box.x0, box.x1))
    np.testing.assert_array_equal(part.rgb, whole.rgb[here])
    np.testing.assert_array_equal(part.labels > 0, whole.labels[here] > 0)
    of_part, of_whole = part.outlines.bounds(), whole.outlines.bounds()
    same = part.labels > 0
    np.testing.assert_array_equal(of_part[part.labels[same] - 1], of_whole[whole.labels[here][same] - 1])


def test_neighbouring_blocks_know_the_same_nuclei() -> None:
    left, right = draw_block(SPEC, 0, 0).nuclei, draw_block(SPEC, 0, 1).nuclei
    assert left is not None
    assert right is not None
    reach = 9 / SPEC.mpp  # nuclei so near the seam must be final in both
    for first, second in ((left, right), (right, left)):
        near = first.take((np.abs(first.x - BLOCK_PX) < reach) & (first.y > 0) & (first.y < BLOCK_PX))
        assert len(near) > 10
        found = second.take(np.isin(second.key, near.key))
        order = np.argsort(near.key)
        again = np.argsort(found.key)
        np.testing.assert_array_equal(near.take(order).vertices(SPEC.seed), found.take(again).vertices(SPEC.seed))
        np.testing.assert_array_equal(near.dark[order], found.dark[again])


def test_no_seam_shows(whole: DrawnRegion) -> None:
    grey = whole.rgb.astype(np.float32).mean(axis=2)
    step_x = np.abs(np.diff(grey, axis=1)).mean(axis=0)
    step_y = np.abs(np.diff(grey, axis=0)).mean(axis=1)
    for steps in (step_x, step_y):
        around = steps[BLOCK_PX - 30 : BLOCK_PX + 30]
        assert steps[BLOCK_PX - 1] < around.mean() + 4 * around.std()


def test_outlines_and_labels_are_the_same_nuclei(whole: DrawnRegion) -> None:
    assert len(whole.outlines) > 300
    assert whole.labels.max() == len(whole.outlines) == len(whole.classes)
    areas = np.bincount(whole.labels.ravel(), minlength=len(whole.outlines) + 1)[1:]
    ratio = areas / whole.outlines.areas()
    assert np.median(ratio) == pytest.approx(1, abs=0.03)
    assert ratio.max() < 1.15  # and a nucleus that lies partly under another shows less than its outline
    assert ratio.min() > 0.6
    centres = whole.outlines.centroids()
    hit = whole.labels[centres[:, 1].astype(int), centres[:, 0].astype(int)]
    assert (hit == np.arange(1, len(hit) + 1)).mean() > 0.995


def test_outlines_are_valid_whole_and_apart(whole: DrawnRegion) -> None:
    polygons = shapely.polygons([whole.outlines.ring(k) for k in range(len(whole.outlines))])
    assert shapely.is_valid(polygons).all()
    assert shapely.covered_by(polygons, shapely.box(*WHOLE)).all()
    tree = shapely.STRtree(polygons)
    first, second = tree.query(polygons, predicate="intersects")
    pairs = first < second
    first, second = polygons[first[pairs]], polygons[second[pairs]]
    overlap = shapely.area(shapely.intersection(first, second)) / np.minimum(shapely.area(first), shapely.area(second))
    assert len(overlap) > 5  # some touch, as in tissue
    assert overlap.max() < 0.3
    assert np.quantile(overlap, 0.9) < 0.12


def test_nuclei_have_the_sizes_of_nuclei(whole: DrawnRegion) -> None:
    diameter_um = 2 * np.sqrt(whole.outlines.areas() / np.pi) * SPEC.mpp
    assert np.quantile(diameter_um, 0.02) > 4
    assert np.quantile(diameter_um, 0.98) < 11
    assert set(whole.classes.tolist()) == {0, 1, 2}


def test_nuclei_are_dark_in_haematoxylin(whole: DrawnRegion) -> None:
    stain = stain_of(SPEC)
    density = -np.log(np.maximum(whole.rgb, 1) / stain.glass.astype(np.float32)).reshape(-1, 3)
    blue = (density @ np.linalg.pinv(stain.dyes).T)[:, 0].reshape(whole.labels.shape).astype(np.float32)
    nuclei = (whole.labels > 0).astype(np.uint8)
    far, near = (cv2.dilate(nuclei, np.ones((side, side), np.uint8)) > 0 for side in (13, 5))
    around = far & ~near
    mean = np.bincount(whole.labels.ravel(), blue.ravel())[1:] / np.bincount(whole.labels.ravel())[1:]
    assert (mean > blue[around].mean() + 0.15).mean() > 0.97


@pytest.mark.parametrize("fraction", [0.2, 0.5, 1.0])
def test_tissue_covers_what_was_asked(fraction: float) -> None:
    spec = SynthSpec(width=30_000, height=20_000, seed=5, tissue_fraction=fraction)
    x, y = (np.arange(200) + 0.5) * 37.5, (np.arange(200) + 0.5) * 25
    assert float((layout_of(spec).depth(x, y) > 0).mean()) == pytest.approx(fraction, abs=0.02)


def test_glass_is_one_colour() -> None:
    spec = SynthSpec(width=8000, height=8000, seed=7, tissue_fraction=0.2)
    block = draw_block(spec, 0, 0)
    assert block.nuclei is None
    assert (block.rgb == stain_of(spec).glass).all()


def test_seeds_differ_and_resolutions_show_the_same_tissue() -> None:
    box = Box(0, 0, 300, 300)
    one, other = (draw_region(SynthSpec(width=300, height=300, seed=seed), box) for seed in (7, 8))
    assert (one.rgb != other.rgb).any()
    fine = draw_region(SynthSpec(width=1024, height=1024, seed=7), Box(0, 0, 1024, 1024))
    half = draw_region(SynthSpec(width=512, height=512, seed=7, mpp=0.5), Box(0, 0, 512, 512))
    assert len(half.outlines) == pytest.approx(len(fine.outlines), rel=0.03)
    shrunk = cv2.resize(fine.rgb, (512, 512), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(int) - half.rgb).mean() < 14


def test_no_nuclei_where_none_are_asked_for() -> None:
    region = draw_region(
        SynthSpec(width=400, height=400, seed=7, nuclei_density=0, tissue_fraction=1), Box(0, 0, 400, 400)
    )
    assert not len(region.outlines)
    assert not region.labels.any()


@pytest.mark.parametrize("box", [Box(0, 0, 0, 5), Box(-1, 0, 5, 5), Box(0, 0, 1501, 5)])
def test_a_region_outside_is_refused(box: Box) -> None:
    with pytest.raises(ValueError, match="not a part"):
        draw_region(SPEC, box)


@pytest.mark.parametrize("levels", [(), (4, 16), (1, 3), (1, 16, 4), (1, 512)])
def test_levels_that_do_not_fit_are_refused(levels: tuple[int, ...]) -> None:
    with pytest.raises(ValidationError, match="powers of two"):
        SynthSpec(width=1000, height=1000, levels=levels)


def test_a_slide_too_small_for_its_levels_is_refused() -> None:
    with pytest.raises(ValidationError, match="has no level"):
        SynthSpec(width=200, height=200, levels=(1, 256))
