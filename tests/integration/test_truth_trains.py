"""The truth of a drawn slide is an annotated slide to train on."""

from __future__ import annotations

import numpy as np
import pytest

from pathopipe.annotations.read import read_outlines
from pathopipe.models.train import AnnotatedSlide, TrainSpec
from pathopipe.models.train.dataset import load_samples
from pathopipe.synth.nuclei import CLASSES


def test_the_truth_of_a_drawn_slide_is_trained_on(drawn_slide):
    truth = read_outlines(drawn_slide.truth)
    images = AnnotatedSlide(slide=drawn_slide.slide, annotations=drawn_slide.truth, region="all")
    ((sample,), _) = load_samples(TrainSpec(sets=(images,), classes=CLASSES))
    assert sample.scale == pytest.approx(0.5)
    nuclei = np.unique(sample.labels[sample.labels > 0])
    assert len(nuclei) == pytest.approx(len(truth.outlines), rel=0.01)  # few lie wholly below others
    assert (sample.marks[1:-1, 1:-1] != 255).all()
    areas = truth.outlines.areas()
    for number, name in enumerate(CLASSES, 1):
        drawn = areas[np.array(truth.classes)[truth.class_id] == name].sum()
        assert (sample.marks == number).sum() == pytest.approx(drawn, rel=0.08)
    # Nuclei are darker than what lies around them: labels and pixels are of the same place.
    grey = sample.rgb.mean(axis=2)
    assert grey[sample.labels > 0].mean() < grey[sample.labels == 0].mean() - 50
