"""Bootstrap intervals against samples that can be counted by hand."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest

from pathopipe.evaluation import (
    Difference,
    EvaluationError,
    EvaluationResult,
    as_text,
    difference_text,
    evaluate_labels,
)
from pathopipe.evaluation.intervals import bootstrap


def image(found, missed=0, invented=0):
    """An image of so many boxes of one pixel each."""
    truth, predicted = np.zeros((2, 3 * 40), np.int32)
    for n in range(found + missed + invented):
        truth[3 * n], predicted[3 * n] = (n + 1) * (n < found + missed), (n + 1) * (n < found or n >= found + missed)
    return evaluate_labels(predicted[None], truth[None])


def test_of_three_images_the_interval_spans_all_27_samples():
    images = [image(8, 2), image(3, 3, 3), image(1, 4)]
    samples = list(itertools.product(images, repeat=3))
    # The sample of one image three times has a share of 1/27 > 2.5 %, so the extremes are the bounds.
    recalls = [sum(i.true_positives for i in s) / sum(i.truth for i in s) for s in samples]
    intervals = bootstrap(images)
    assert intervals.pooled["recall"] == pytest.approx((min(recalls), max(recalls)))
    assert intervals.mean["recall"] == pytest.approx((0.2, 0.8))
    assert intervals.reasons == {}


def test_pooling_weighs_by_objects_and_the_mean_by_images():
    images = [image(20, 0)] * 10 + [image(0, 1)] * 10
    intervals = bootstrap(images)
    assert intervals.pooled["recall"][0] > 0.85
    assert intervals.mean["recall"][0] < 0.4


def test_interval_is_about_that_of_theory_for_many_images():
    rng = np.random.default_rng(1)
    found = rng.integers(0, 11, 200)
    images = [image(n, 10 - n) for n in found]
    low, high = bootstrap(images).mean["recall"]
    error = (found / 10).std(ddof=1) / np.sqrt(200)
    assert (high - low) / 2 == pytest.approx(1.96 * error, rel=0.1)
    assert low < (found / 10).mean() < high


def test_the_same_images_give_the_same_interval():
    images = [image(n, 5 - n) for n in (1, 2, 3, 4)]
    assert bootstrap(images) == bootstrap(images)


@pytest.mark.parametrize("number", [1, 2])
def test_too_few_images_have_no_interval_and_say_why(number):
    result = EvaluationResult({f"i{n}": image(3, n) for n in range(number)})
    told = result.as_dict()["intervals"]
    assert told["pooled"] == told["mean"] == {}
    assert "at least 3" in told["reasons"]["all"]
    assert "too few" in as_text(result)
    assert "95%" not in as_text(result)


def test_a_figure_that_many_samples_lack_has_no_interval():
    result = EvaluationResult({"a": image(4), "b": image(0, 2), "c": image(0, 2), "d": image(0, 2)})
    told = json.loads(json.dumps(result.as_dict()))["intervals"]
    assert "sq" not in told["pooled"]  # all four drawn from b, c and d: no pair, no quality
    assert "samples" in told["reasons"]["pooled.sq"]
    assert told["pooled"]["recall"][0] == 0
    assert as_text(result).count("95% from") == 2


def result(*images):
    return EvaluationResult({f"i{n}": each for n, each in enumerate(images)})


def test_a_difference_is_paired():
    # Images of very different difficulty, one nucleus of ten more found in each.
    ours, baseline = [[image(n + gain, 10 - n - gain) for n in range(10)] for gain in (1, 0)]
    gain = Difference(result(*ours), result(*baseline))
    assert gain.pooled["recall"] == gain.mean["recall"] == pytest.approx(0.1)
    assert gain.intervals.pooled["recall"] == pytest.approx((0.1, 0.1))
    low, high = bootstrap(ours).pooled["recall"]
    assert high - low > 0.2
    assert "+0.1" in difference_text(gain)


def test_a_difference_to_itself_is_0_and_backwards_it_is_negative():
    one, other = result(*(image(n, 3) for n in range(5))), result(*(image(n, 4) for n in range(5)))
    assert set(Difference(one, one).intervals.pooled.values()) == {(0.0, 0.0)}
    there, back = Difference(one, other).intervals.mean["f1"], Difference(other, one).intervals.mean["f1"]
    assert there == pytest.approx((-back[1], -back[0]))


def test_a_difference_needs_the_same_images_and_enough_of_them():
    with pytest.raises(EvaluationError, match="different images"):
        Difference(result(image(1)), result(image(1), image(2)))
    few = Difference(result(image(1)), result(image(1, 1)))
    assert json.loads(json.dumps(few.as_dict()))["pooled"]["recall"] == 0.5
    assert "too few" in difference_text(few)
    empty = Difference(result(image(0)), result(image(0)))
    assert empty.pooled["f1"] is None
    assert "–" in difference_text(empty)
