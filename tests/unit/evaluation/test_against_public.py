"""The figures against public implementations: torchmetrics' panoptic quality, and sums over skimage's overlap table."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.optimize import linear_sum_assignment
from skimage.draw import ellipse
from skimage.measure import label
from skimage.metrics import contingency_table

from pathopipe.evaluation import evaluate_labels, evaluate_outlines, pooled
from pathopipe.evaluation.agreement import agreement
from pathopipe.evaluation.kappa import cohen, fleiss
from pathopipe.evaluation.labels import label_polygons
from pathopipe.evaluation.pairs import polygon_pairs
from tests.support.drawn import draw_nuclei, noisy


def drawn_labels(seed, shape=(70, 90), number=25):
    """Nuclei as ellipses painted over each other, and the same as another sees them: moved, some left out or new."""
    rng = np.random.default_rng(seed)
    truth, predicted = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    for value in rng.permutation(number) * 3 + 1:
        y, x, tall, wide = *rng.uniform(0, shape), *rng.uniform(2, 9, 2)
        if rng.random() < 0.85:
            truth[ellipse(y, x, tall, wide, shape)] = value
        if rng.random() < 0.85:
            dy, dx, grow = *rng.normal(0, 1.5, 2), rng.uniform(0.7, 1.3)
            predicted[ellipse(y + dy, x + dx, tall * grow, wide * grow, shape)] = value + 1
    return predicted, truth


def ties(predicted, truth):
    """Whether an object has the same IoU with two: AJI and AJI+ depend on which is taken, and nobody says which."""
    table = contingency_table(truth, predicted).toarray()
    union = table.sum(axis=1, keepdims=True) + table.sum(axis=0) - table
    iou = table[1:, 1:] / np.maximum(union[1:, 1:], 1)
    return any(len(np.unique(each[each > 0])) < np.count_nonzero(each) for table in (iou, iou.T) for each in table)


def expected(predicted, truth):
    """AJI, AJI+, Dice, F1 and AP from skimage's table of overlaps, all objects with all."""
    table = contingency_table(truth, predicted).toarray()
    areas = [
        np.bincount(image.ravel(), minlength=size) for image, size in zip((truth, predicted), table.shape, strict=True)
    ]
    rows, cols = (np.flatnonzero(area[1:]) + 1 for area in areas)
    overlap = table[np.ix_(rows, cols)]
    true_area, predicted_area = areas[0][rows], areas[1][cols]
    union = true_area[:, None] + predicted_area - overlap
    iou = overlap / union
    figures = {"dice": 2 * np.sum((truth > 0) & (predicted > 0)) / (np.sum(truth > 0) + np.sum(predicted > 0))}
    for t in (0.5, 0.6, 0.7, 0.8, 0.9):
        found = int((iou > t).sum())
        figures[f"ap_{t}"] = found / (len(rows) + len(cols) - found)
    figures["f1"] = 2 * int((iou > 0.5).sum()) / (len(rows) + len(cols))
    one, other = linear_sum_assignment(iou, maximize=True)
    met = overlap[one, other] > 0
    one, other = one[met], other[met]
    alone = true_area.sum() - true_area[one].sum() + predicted_area.sum() - predicted_area[other].sum()
    figures["aji_plus"] = overlap[one, other].sum() / (union[one, other].sum() + alone)
    intersections = unions = 0
    taken = set()
    for row in range(len(rows)):
        best = iou[row].argmax()
        if overlap[row, best] == 0:
            unions += true_area[row]
            continue
        intersections, unions = intersections + overlap[row, best], unions + union[row, best]
        taken.add(best)
    unions += sum(area for col, area in enumerate(predicted_area) if col not in taken)
    figures["aji"] = intersections / unions
    return figures


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10**6))
def test_all_figures_are_those_from_skimages_overlap_table(seed):
    predicted, truth = drawn_labels(seed)
    assume(not ties(predicted, truth))
    ours = evaluate_labels(predicted, truth).as_dict()
    for name, value in expected(predicted, truth).items():
        assert ours[name] == pytest.approx(value), name


def test_panoptic_quality_is_that_of_torchmetrics():
    import torch
    from torchmetrics.functional.detection import panoptic_quality

    def as_torch(labels):
        return torch.tensor(np.stack([labels > 0, labels], axis=-1)[None].astype(np.int64))

    for seed in range(4):
        predicted, truth = drawn_labels(seed)
        theirs = panoptic_quality(
            as_torch(predicted), as_torch(truth), {1}, {0}, return_sq_and_rq=True, return_per_class=True
        )
        ours = evaluate_labels(predicted, truth)
        assert [ours.pq, ours.sq, ours.dq] == pytest.approx(theirs.reshape(-1, 3)[0].tolist())


def test_real_nuclei_against_skimages_overlap_table(real_data):
    for path in sorted((real_data / "train" / "dsb2018_he_test" / "labels").glob("*.png"))[:3]:
        truth = np.asarray(Image.open(path)).astype(np.int32)
        predicted = label(np.roll(truth, (2, 3), (0, 1)) > 0)
        ours = evaluate_labels(predicted, truth).as_dict()
        for name, value in expected(predicted, truth).items():
            assert ours[name] == pytest.approx(value), (path.name, name)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 10**6))
def test_polygons_of_label_images_give_the_same_figures(seed):
    predicted, truth = drawn_labels(seed)
    assume(not ties(predicted, truth))
    by_polygons = agreement(polygon_pairs(label_polygons(predicted), label_polygons(truth)))
    assert by_polygons.as_dict() == pytest.approx(evaluate_labels(predicted, truth).as_dict())


def test_many_chains_of_overlaps_are_assigned_as_if_at_once():
    rng = np.random.default_rng(3)
    truth = draw_nuclei(rng, 900)
    seen = noisy(truth, rng, 2.0)
    figures = evaluate_outlines(seen, truth)
    from pathopipe.evaluation.pairs import valid_polygons

    pairs = polygon_pairs(valid_polygons(seen), valid_polygons(truth))
    assert len(pairs.index) > 1500  # several batches
    table = np.zeros((len(seen), len(truth)))
    table[pairs.index[:, 0], pairs.index[:, 1]] = pairs.iou
    one, other = linear_sum_assignment(table, maximize=True)
    assert pairs.iou[pairs.assigned].sum() == pytest.approx(table[one, other].sum())
    assert figures.aji_plus <= figures.aji + 0.01


def test_pooling_is_the_same_as_one_large_image():
    images = [drawn_labels(seed) for seed in range(3)]
    apart = pooled(evaluate_labels(*image) for image in images)
    predicted, truth = (
        np.concatenate([np.where(image[side] > 0, image[side] + 1000 * n, 0) for n, image in enumerate(images)])
        for side in (0, 1)
    )
    assert apart.as_dict() == pytest.approx(evaluate_labels(predicted, truth).as_dict())


def test_kappas_are_those_of_torchmetrics():
    import torch
    from torchmetrics.functional.classification import multiclass_cohen_kappa
    from torchmetrics.functional.nominal import fleiss_kappa

    rng = np.random.default_rng(0)
    given = rng.integers(0, 4, 300)
    raters = np.stack([np.where(rng.random(300) < 0.3, rng.integers(0, 4, 300), given) for _ in range(3)])
    table = contingency_table(raters[0], raters[1]).toarray().astype(int)
    theirs = multiclass_cohen_kappa(torch.tensor(raters[0]), torch.tensor(raters[1]), num_classes=4)
    assert cohen(table).value == pytest.approx(float(theirs), abs=1e-6)
    counts = (raters[:, :, None] == np.arange(4)).sum(axis=0)
    # theirs has 1e-5 added to its denominator
    assert fleiss(counts).value == pytest.approx(float(fleiss_kappa(torch.tensor(counts))), abs=2e-5)
