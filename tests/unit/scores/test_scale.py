"""Nuclei too small or large for the stated resolution."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from pathopipe.scores.scale import diameters_um, scale_remark, sparse_remark, zoom_for
from pathopipe.scores.spec import ScaleCheckSpec


def areas(diameter_um, number=500):
    """Return areas that scatter about a median diameter."""
    around = np.exp(np.random.default_rng(0).normal(0, 0.25, number))
    return np.pi / 4 * (diameter_um * around / np.median(around)) ** 2


def test_diameters():
    np.testing.assert_allclose(diameters_um(np.array([np.pi, 4 * np.pi, 0])), [2, 4, 0])


@pytest.mark.parametrize("diameter", [5.0, 6.0, 7.5, 8.5])
def test_usual_nuclei_are_not_remarked(diameter):
    assert scale_remark(areas(diameter), 0.5, ScaleCheckSpec()) is None


@pytest.mark.parametrize(("diameter", "wrong", "true"), [(3.0, "too small", "larger"), (12.0, "too large", "smaller")])
def test_others_are_remarked_with_the_cure(diameter, wrong, true):
    told = scale_remark(areas(diameter), 0.2527, ScaleCheckSpec())
    assert wrong in told
    assert f"may be {true} than the 0.2527 stated" in told
    assert f"{diameter:.1f} µm" in told
    assert "--mpp" in told


def test_few_cells_or_none_say_nothing():
    assert scale_remark(areas(3.0, 199), 0.5, ScaleCheckSpec()) is None
    assert scale_remark(areas(3.0, 200), 0.5, ScaleCheckSpec()) is not None
    assert scale_remark(np.zeros(0), 0.5, ScaleCheckSpec(min_cells=1)) is None


def test_it_can_be_turned_off():
    assert scale_remark(areas(3.0), 0.5, ScaleCheckSpec(enabled=False)) is None


def test_a_few_giants_and_specks_do_not_move_it():
    mixed = np.concatenate([areas(6.0, 800), np.full(100, 900.0), np.full(100, 4.0)])
    assert scale_remark(mixed, 0.5, ScaleCheckSpec()) is None


def test_small_nuclei_are_looked_at_closer_and_large_ones_from_farther():
    assert zoom_for(areas(5.0), ScaleCheckSpec()) == 2
    assert zoom_for(areas(7.0), ScaleCheckSpec()) == 0.5
    assert zoom_for(areas(5.0, 199), ScaleCheckSpec()) is None
    assert zoom_for(areas(5.0), ScaleCheckSpec(enabled=False)) is None


@pytest.mark.parametrize(
    ("zoom", "diameter", "told"),
    [
        (2.0, 2.9, "too small: their median diameter at 2 times the magnification is 2.9 µm, where 3.4 or more"),
        (2.0, 3.6, None),
        (2.0, 12.0, None),
        (0.5, 11.0, "too large: their median diameter at 0.5 times the magnification is 11.0 µm, where 10.4 or less"),
        (0.5, 9.5, None),
        (0.5, 3.0, None),
    ],
)
def test_the_second_look_decides_where_the_first_says_nothing(zoom, diameter, told):
    found = scale_remark(areas(6.0), 0.5, ScaleCheckSpec(), zoom, areas(diameter))
    assert (found is None) if told is None else (told in found)


def test_a_second_look_at_few_cells_says_nothing():
    assert scale_remark(areas(6.0), 0.5, ScaleCheckSpec(), 2.0, areas(2.0, 49)) is None
    assert scale_remark(areas(6.0), 0.5, ScaleCheckSpec(), 2.0, areas(2.0, 50)) is not None


def test_bounds_the_wrong_way_round_are_refused():
    with pytest.raises(ValidationError, match="is not below"):
        ScaleCheckSpec(min_median_um=9, max_median_um=5)
    with pytest.raises(ValidationError, match="min_zoomed_um 12 is not below"):
        ScaleCheckSpec(min_zoomed_um=12)


@pytest.mark.parametrize(
    ("cells", "tissue_mm2", "remarked"),
    [(27, 0.65, True), (0, 5.0, True), (33, 0.65, False), (0, 0.19, False), (0, 0.0, False)],
)
def test_tissue_without_nuclei_is_remarked(cells, tissue_mm2, remarked):
    told = sparse_remark(cells, tissue_mm2, 0.25, ScaleCheckSpec())
    assert (told is not None) == remarked
    assert not remarked or ("--mpp" in told and "0.25 µm per pixel" in told)
    assert sparse_remark(cells, tissue_mm2, 0.25, ScaleCheckSpec(enabled=False)) is None
