"""What is found strip by strip is what is found in the whole picture."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.tiling import strips as strips_module
from pathopipe.tiling.pieces import Pieces, at_least, connected
from pathopipe.tiling.ranks import median, percentile
from pathopipe.tiling.spec import ArtefactSpec, TissueSpec
from pathopipe.tiling.strips import strips
from pathopipe.tiling.tissue import find_tissue
from tests.support.slides import ArraySlide
from tests.support.stained import DAB, HE, glass, piece, stained


@pytest.fixture
def thin(monkeypatch):
    """Strips of seven rows."""
    monkeypatch.setattr(strips_module, "_PX", 1)
    monkeypatch.setattr(strips_module, "_LEAST_ROWS", 7)


def mask_of(seed, height, width, share):
    return np.random.default_rng(seed).random((height, width)) < share


def test_strips_cover_every_row_once_with_a_margin_where_there_is_one(thin):
    found = list(strips((20, 5), margin=9))
    assert [(each.start, each.stop, each.above, each.below) for each in found] == [
        (0, 7, 0, 9),
        (7, 14, 7, 6),
        (14, 20, 9, 0),
    ]
    for each in found:
        assert np.arange(20)[each.read][each.inner].tolist() == np.arange(20)[each.rows].tolist()


MASKS = st.tuples(
    st.integers(0, 999), st.integers(1, 40), st.integers(1, 30), st.sampled_from([0.0, 0.3, 0.45, 0.6, 1.0])
)


@settings(max_examples=60, deadline=None)
@given(MASKS, st.sampled_from([4, 8]))
def test_pieces_are_those_of_the_whole_mask(drawn, connectivity):
    mask, seen = mask_of(*drawn), mask_of(drawn[0] + 1, *drawn[1:])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strips_module, "_PX", 1)
        patch.setattr(strips_module, "_LEAST_ROWS", 7)
        pieces = Pieces(mask, connectivity)
        number, whole, stats, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=connectivity)
        labels = np.concatenate([labels for _, labels in pieces.labels])
        counts, rims = pieces.count(seen), pieces.at_rim
        kept = pieces.those(pieces.area > 3)
        cuts = [(pieces.around(each, 2), pieces.one(each, pieces.around(each, 2))) for each in range(number)[1:]]
    assert pieces.number == number - 1
    for each in range(1, number):
        here = whole == each
        (mine,) = np.unique(labels[here])
        assert mine > 0
        assert pieces.area[mine] == here.sum() == (labels == mine).sum()
        assert counts[mine] == (here & seen).sum()
        assert rims[mine] == (here[0].any() or here[-1].any() or here[:, 0].any() or here[:, -1].any())
        part, cut = cuts[mine - 1]
        x, y, width, height = stats[each, :4]
        assert (part[0].start, part[1].start) == (max(0, y - 2), max(0, x - 2))
        assert (part[0].stop, part[1].stop) == (min(len(mask), y + height + 2), min(mask.shape[1], x + width + 2))
        assert (cut == here[part]).all()
    assert (kept == (np.where(whole > 0, stats[whole, cv2.CC_STAT_AREA], 0) > 3)).all()
    assert labels[~mask].sum() == 0


def test_pieces_by_what_they_hold_and_by_size(thin):
    around = piece(60, 50, (12, 20), (8, 16)) | piece(60, 50, (36, 40), (5, 12))
    sure = np.zeros_like(around)
    sure[30, 12] = True
    assert (connected(sure, around) == piece(60, 50, (12, 20), (8, 16))).all()
    assert (at_least(around, 300) == piece(60, 50, (12, 20), (8, 16))).all()
    assert not connected(np.zeros_like(around), around).any()


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.floats(0, 8, width=32), max_size=30), max_size=5),
    st.sampled_from([0.0, 5.0, 50.0, 90.0, 95.0, 100.0]),
)
def test_ranks_are_those_of_numpy(parts, percent):
    arrays = [np.array(part, np.float32) for part in parts]
    together = np.concatenate([*arrays, np.zeros(0, np.float32)])
    if together.size:
        assert percentile(lambda: arrays, percent) == pytest.approx(float(np.percentile(together, percent)), rel=1e-6)
        assert median(lambda: arrays) == float(np.median(together))
    else:
        assert percentile(lambda: arrays, percent) is None
        assert median(lambda: arrays) is None


def picture(name):
    """Tissue with padding, a hole, ink, dirt and a fold."""
    height, width = 330, 300
    tissue = piece(height, width, (140, 170), (110, 120)) & ~piece(height, width, (110, 120), (12, 14))
    rgb = stained(glass(height, width, noise=0.8), tissue, DAB if name == "dab" else HE, texture=0.3)
    if name == "padded":
        rgb[:, 280:] = rgb[310:] = 0
    if name == "inked":
        rgb[40:300, 150:170] = (30, 120, 70)
        rgb[200:230, 60:80] = 20
        rgb[60:64, 40:240] = (rgb[60:64, 40:240] * 0.4).astype(np.uint8)
    return rgb


@pytest.mark.parametrize("name", ["plain", "dab", "padded", "inked"])
@pytest.mark.parametrize("mpp", [8.0, 3.0])
def test_tissue_and_artefacts_are_those_of_the_whole_picture(name, mpp, monkeypatch):
    slide, spec = ArraySlide(picture(name), mpp), TissueSpec(mpp=mpp)
    artefacts = ArtefactSpec(min_area_um2=1000, fold_contrast=1.2)
    whole = find_tissue(slide, spec, artefacts)
    monkeypatch.setattr(strips_module, "_PX", 1)
    monkeypatch.setattr(strips_module, "_LEAST_ROWS", 11)
    found = find_tissue(slide, spec, artefacts)
    assert found.polygons.equals_exact(whole.polygons)
    assert not whole.polygons.is_empty
    assert found.artefacts.keys() == whole.artefacts.keys()
    assert all(found.artefacts[kind].equals_exact(area) for kind, area in whole.artefacts.items())
    assert (found.blue_over_green, found.glass) == (whole.blue_over_green, whole.glass)
    assert bool(whole.artefacts) == (name == "inked")
