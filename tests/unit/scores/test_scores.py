from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import stats

from pathopipe import registry
from pathopipe.errors import ConfigError, StoreError
from pathopipe.scores.base import Histogram, Score, ScoreContext
from pathopipe.scores.density import column_names, density, poisson_interval
from pathopipe.scores.files import read_scores, rounded, write_scores
from pathopipe.scores.run import compute_scores
from pathopipe.scores.size import area_histogram, quantile_interval, size


def context(areas=(), class_id=None, classes=("Nucleus",), tissue_mm2=2.0, analysed_mm2=None):
    areas = np.asarray(areas, np.float64)
    return ScoreContext(
        area_um2=areas,
        class_id=np.zeros(len(areas), np.uint8) if class_id is None else np.asarray(class_id, np.uint8),
        classes=classes,
        score=np.full(len(areas), 0.9, np.float32),
        tissue_mm2=tissue_mm2,
        analysed_mm2=tissue_mm2 if analysed_mm2 is None else analysed_mm2,
        mpp=0.25,
    )


def by_name(scores):
    return {score.name: score for score in scores}


# Garwood's 95 % limits as printed in tables (e.g. Breslow & Day 1987, table 2.11; three decimals).
GARWOOD = [
    (0, 0.0, 3.689),
    (1, 0.0253, 5.572),
    (2, 0.242, 7.225),
    (3, 0.619, 8.767),
    (5, 1.623, 11.668),
    (10, 4.795, 18.390),
    (20, 12.217, 30.888),
    (50, 37.111, 65.919),
    (100, 81.364, 121.627),
]


@pytest.mark.parametrize(("count", "low", "high"), GARWOOD)
def test_poisson_interval_is_the_table_s(count, low, high):
    assert poisson_interval(count) == pytest.approx((low, high), abs=6e-4)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2_000_000), st.sampled_from([0.5, 0.9, 0.95, 0.99]))
def test_poisson_interval_leaves_its_tails_outside(count, confidence):
    low, high = poisson_interval(count, confidence)
    tail = (1 - confidence) / 2
    assert low <= count <= high
    assert stats.poisson.cdf(count, high) == pytest.approx(tail, rel=1e-6)
    assert low == 0 if count == 0 else stats.poisson.sf(count - 1, low) == pytest.approx(tail, rel=1e-6)


def test_density_divides_by_the_analysed_area():
    found = by_name(density(context([50.0] * 10, tissue_mm2=4.0, analysed_mm2=2.0)))
    assert found["tissue_mm2"].value == 4.0
    assert found["analysed_mm2"].value == 2.0
    assert found["cells"].value == found["cells"].numerator == 10
    per_mm2 = found["cells_per_mm2"]
    assert (per_mm2.value, per_mm2.numerator, per_mm2.denominator) == (5.0, 10, 2.0)
    assert per_mm2.interval == pytest.approx((4.795 / 2, 18.390 / 2), abs=1e-3)


def test_tissue_without_cells_has_a_density_of_zero_and_no_median():
    found = by_name([*density(context()), *size(context())])
    assert found["cells"].value == 0
    assert found["cells_per_mm2"].value == 0
    assert found["cells_per_mm2"].interval == pytest.approx((0, 3.689 / 2), abs=1e-3)
    assert found["nucleus_area_um2_median"].value is None
    assert found["nucleus_area_um2_median"].reason == "no cells were found"


def test_a_slide_without_tissue_has_no_cells_and_no_density():
    found = by_name(density(context(tissue_mm2=0.0)))
    assert found["cells"].value == 0
    assert found["cells_per_mm2"].value is None
    assert found["cells_per_mm2"].reason == "no tissue was found"


def test_where_every_tile_failed_nothing_is_said_of_the_cells():
    empty = context(tissue_mm2=3.0, analysed_mm2=0.0)
    found = by_name([*density(empty), *size(empty)])
    for name in ("cells", "cells_per_mm2", "nucleus_area_um2_median"):
        assert found[name].value is None
        assert found[name].reason == "none of the tissue could be analysed"


def test_each_class_is_counted_where_there_are_several():
    found = by_name(density(context([50.0] * 4, [0, 1, 1, 1], ("Tumor", "Immune cells", "Stroma"))))
    assert found["cells_tumor"].value == 1
    assert found["cells_immune_cells"].value == 3
    assert found["cells_per_mm2_immune_cells"].value == 1.5
    assert found["cells_stroma"].value == 0
    assert not any(name.startswith("cells_nucleus") for name in by_name(density(context([50.0]))))


def test_column_names_stay_apart():
    assert column_names(("A b", "a-b", "A/B", "Größe", "2+", "//")) == ["a_b", "a-b", "a_b_3", "größe", "2+", "class"]


def test_sizes_of_known_areas():
    found = by_name(size(context(np.arange(1, 101))))
    assert found["nucleus_area_um2_mean"].value == 50.5
    assert (found["nucleus_area_um2_mean"].numerator, found["nucleus_area_um2_mean"].denominator) == (5050, 100)
    assert found["nucleus_area_um2_median"].value == 50.5
    assert found["nucleus_area_um2_median"].denominator == 100
    # The printed interval of the median of 100 values is (40th, 61st); Conover, "Practical Nonparametric Statistics".
    assert found["nucleus_area_um2_median"].interval == (40, 61)
    assert found["nucleus_area_um2_p25"].value == pytest.approx(25.75)
    assert sum(found["nucleus_area_um2_median"].histogram.counts) == 100


@settings(deadline=None, max_examples=80)
@given(st.integers(1, 3000), st.sampled_from([0.05, 0.25, 0.5, 0.75, 0.95]))
def test_quantile_interval_covers_with_at_least_95_percent(number, quantile):
    found = quantile_interval(np.arange(1, number + 1, dtype=np.float64), quantile)
    below = stats.binom(number, quantile)
    if found is None:
        assert below.pmf(0) > 0.025 or below.pmf(number) > 0.025 or below.cdf(number - 1) < 0.975
        return
    low, high = (int(rank) for rank in found)
    assert below.cdf(low - 1) <= 0.025 + 1e-9
    assert below.sf(high - 1) <= 0.025 + 1e-9
    assert below.cdf(low) > 0.025 - 1e-9  # and the next rank inwards would leave too much outside
    assert below.sf(high - 2) > 0.025 - 1e-9


@settings(deadline=None, max_examples=60)
@given(st.lists(st.floats(0, 1e5), min_size=1, max_size=60))
def test_histogram_counts_every_area_once(areas):
    areas = np.array(areas)
    found = area_histogram(areas)
    expected, _ = np.histogram(areas, [*found.edges, np.inf])
    # np.histogram closes only its last bin, which is ours of all that lie above.
    assert [*found.counts, found.above] == expected.tolist()
    assert found.above <= len(areas) / 100


def test_histogram_has_the_same_edges_for_every_slide_of_nuclei():
    rng = np.random.default_rng(1)
    assert area_histogram(rng.gamma(9, 5, 500)).edges == area_histogram(rng.gamma(9, 12, 500)).edges


def test_a_score_has_a_value_or_a_reason():
    with pytest.raises(ValueError, match="either a value or the reason"):
        Score("x", None, "µm")
    with pytest.raises(ValueError, match="either a value or the reason"):
        Score("x", 1.0, "µm", reason="but")
    with pytest.raises(ValueError, match="finite"):
        Score("x", math.nan, "µm")


def test_columns_of_different_length_are_refused():
    with pytest.raises(ValueError, match="differ in length"):
        ScoreContext(np.ones(2), np.zeros(1, np.uint8), ("a",), np.ones(2, np.float32), 1, 1, 1)


def test_all_registered_scores_are_computed():
    found = by_name(compute_scores(context([30.0] * 20)))
    assert {"tissue_mm2", "cells", "cells_per_mm2", "nucleus_area_um2_median"} <= found.keys()


def test_two_functions_with_one_score_are_refused(monkeypatch):
    monkeypatch.setattr(registry, "names", lambda group: ("density", "other"))
    monkeypatch.setattr(registry, "load", lambda group, name: density)
    with pytest.raises(ConfigError, match=r"'density' and 'other' both give 'tissue_mm2'"):
        compute_scores(context())


def test_scores_come_back_from_their_file(tmp_path):
    path = tmp_path / "scores.json"
    scores = (
        Score("cells_per_mm2", 1234.567891, "cells/mm²", 2469, 2.0, (1200.0, 1300.123456)),
        Score("nothing", None, "µm²", reason="no cells were found"),
        Score("area", 0.000123456789, "mm²", histogram=Histogram((0.0, 10.0, 20.0), (3, 4), 1)),
    )
    write_scores(path, scores)
    first = path.read_bytes()
    back = read_scores(path)
    assert [score.name for score in back] == ["cells_per_mm2", "nothing", "area"]
    assert back[0].value == 1234.5679
    assert back[0].interval == (1200, 1300.1235)
    assert back[1] == scores[1]
    assert back[2].value == 0.000123457
    assert back[2].histogram == scores[2].histogram
    write_scores(path, back)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 99, "scores": {}}', '{"format": 1, "scores": {"a": {"value": 1}}}']
)
def test_a_file_that_is_not_scores_is_told(tmp_path, text):
    path = tmp_path / "scores.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(StoreError, match=r"scores\.json"):
        read_scores(path)


@settings(deadline=None, max_examples=200)
@given(st.floats(-1e12, 1e12))
@example(34359738368.78125)
def test_rounding_keeps_six_digits_and_four_decimals(number):
    value = rounded(number)
    assert abs(value - number) <= min(5.01e-5, abs(number) * 5.01e-6) + math.ulp(number)
    assert rounded(value) == value
