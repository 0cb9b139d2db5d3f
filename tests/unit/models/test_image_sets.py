"""Folders of training images with what is known of them: classes, resolutions, groups."""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from pathopipe.errors import ModelError
from pathopipe.models.train import AnnotatedSlide, ImageSet, TrainSpec
from pathopipe.models.train.dataset import load_samples
from pathopipe.models.train.patches import Patches
from tests.support.classed import CLASSES, draw_classed, write_folder


def one(folder, **given):
    spec = TrainSpec(sets=(ImageSet(folder=folder, mpp=0.5, **given),), classes=CLASSES)
    ((sample,), _) = load_samples(spec)
    return sample


def test_classes_are_read_from_their_table(tmp_path):
    write_folder(tmp_path, {"a": draw_classed(1, 128)})
    drawn, sample = draw_classed(1, 128), one(tmp_path)
    expected = np.concatenate([[0], drawn.class_id + 1])[drawn.labels]
    np.testing.assert_array_equal(sample.marks, expected)


def test_classes_survive_shrinking(tmp_path):
    write_folder(tmp_path, {"a": draw_classed(1, 256)})
    sample = one(tmp_path, class_map={"Tumor": None})
    assert set(np.unique(sample.marks)) == {0, 2}
    spec = TrainSpec(sets=(ImageSet(folder=tmp_path, mpp=0.1),), classes=CLASSES)
    ((sample,), _) = load_samples(spec)
    assert sample.marks.shape == sample.labels.shape == sample.rgb.shape[:2] == (102, 102)
    assert set(np.unique(sample.marks[sample.labels > 0])) == {1, 2}


def test_nuclei_that_are_not_listed_are_of_unknown_class_unless_mapped(tmp_path):
    write_folder(tmp_path, {"a": draw_classed(1, 128)})
    (tmp_path / "classes.csv").write_text("id,instance,class\na,1,Immune cells\n")
    sample = one(tmp_path)
    assert set(np.unique(sample.marks)) == {0, 2}
    assert (sample.marks[sample.labels == 1] == 2).all()
    assert set(np.unique(one(tmp_path, class_map={"": "Tumor"}).marks)) == {0, 1, 2}


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("id,instance\na,1\n", "lacks the column class"),
        ("id,instance,class\na,1\n", "line 2: fewer values"),
        ("id,instance,class\na,one,Tumor\n", "line 2: 'one' is no instance id"),
        ("id,instance,class\na,1,Tumor\na,1,Immune cells\n", "line 3: a 1 has two classes"),
        ("id,instance,class\na,9999,Tumor\n", "a has no instance 9999"),
        ("id,instance,class\na,1,tumour\n", "of the classes 'tumour'; the model's are 'Tumor', 'Immune cells'"),
    ],
)
def test_a_wrong_table_of_classes_is_told(tmp_path, table, told):
    write_folder(tmp_path, {"a": draw_classed(1, 128)})
    (tmp_path / "classes.csv").write_text(table)
    with pytest.raises(ModelError, match=told):
        one(tmp_path)


def test_the_resolution_is_the_images_then_the_sets_then_that_of_the_nuclei(tmp_path):
    write_folder(tmp_path, {name: draw_classed(1, 128) for name in "abc"})
    (tmp_path / "mpp.csv").write_text("id,mpp\na,0.25\nb,0.4\n")

    def scales(**given):
        samples, _ = load_samples(TrainSpec(sets=(ImageSet(folder=tmp_path, **given),)))
        return [sample.scale for sample in samples]

    assert scales(mpp=0.3) == pytest.approx([0.5, 0.8, 0.6])
    areas = np.bincount(draw_classed(1, 128).labels.ravel())[1:]
    assert scales() == pytest.approx([0.5, 0.8, 12.5 / (2 * np.sqrt(np.median(areas) / np.pi))])


@pytest.mark.parametrize("value", ["0", "-1", "nan", "fine"])
def test_a_wrong_resolution_is_told(tmp_path, value):
    write_folder(tmp_path, {"a": draw_classed(1, 128)})
    (tmp_path / "mpp.csv").write_text(f"id,mpp\na,{value}\n")
    with pytest.raises(ModelError, match=r"mpp\.csv, line 2: .* is no µm per pixel"):
        one(tmp_path)


def test_a_share_is_held_out_by_whole_groups(tmp_path):
    names = [f"i{number:02}" for number in range(20)]
    write_folder(tmp_path, dict.fromkeys(names, draw_classed(1, 64)))
    rows = [f"{name},g{number // 4}" for number, name in enumerate(names)]
    (tmp_path / "groups.csv").write_text("id,group\n" + "\n".join(rows) + "\n")

    def split(share, seed=1):
        spec = TrainSpec(sets=(ImageSet(folder=tmp_path, mpp=0.5),), hold_out_share=share, seed=seed)
        return [[sample.id for sample in part] for part in load_samples(spec)]

    for share, count in ((0, 0), (0.2, 4), (0.39, 8), (0.95, 16)):
        training, held_out = split(share)
        assert len(held_out) == count
        assert not {names.index(name) // 4 for name in training} & {names.index(name) // 4 for name in held_out}
    assert split(0.2) == split(0.2)
    assert len({tuple(split(0.2, seed)[1]) for seed in range(8)}) > 1


def test_all_held_out_is_an_error(tmp_path):
    write_folder(tmp_path, {"a": draw_classed(1, 64)})
    with pytest.raises(ModelError, match="all are held out"):
        load_samples(TrainSpec(sets=(ImageSet(folder=tmp_path, mpp=0.5, held_out=("a",)),)))


def test_patches_carry_classes_where_their_nuclei_are(tmp_path):
    write_folder(tmp_path, {"a": draw_classed(1, 256)})
    spec = TrainSpec(sets=(ImageSet(folder=tmp_path, mpp=0.5),), classes=CLASSES, drawn=0.3, patch_px=96)
    training, _ = load_samples(spec)
    patches, seen = Patches(spec, training), set()
    for index in range(12):
        _, maps, _, _ = patches[index]
        marks = maps[3].numpy()
        assert not marks[maps[1].numpy() == 0].any()
        assert set(np.unique(marks)) <= {0, 1, 2}
        inside = maps[1].numpy() == 1
        drawn = not marks.any()
        assert drawn or (marks[inside] > 0).all()
        seen.add(drawn)
    assert seen == {True, False}


def test_a_set_is_a_folder_or_a_slide():
    spec = TrainSpec.model_validate({"sets": [{"folder": "a"}, {"slide": "b.svs", "annotations": "b.geojson"}]})
    assert isinstance(spec.sets[0], ImageSet)
    assert isinstance(spec.sets[1], AnnotatedSlide)
    with pytest.raises(ValidationError, match="annotation\n"):
        TrainSpec.model_validate({"sets": [{"slide": "b.svs", "annotation": "b.geojson"}]})
    with pytest.raises(ValidationError, match="folder"):
        TrainSpec.model_validate({"sets": [{"images": "a"}]})


def test_the_settings_in_the_documentation_are_valid():
    page = Path(__file__).parents[3] / "docs" / "classes.md"
    (text,) = re.findall(r"^```yaml\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    spec = TrainSpec.model_validate(yaml.safe_load(text))
    assert [type(images) for images in spec.sets] == [AnnotatedSlide, ImageSet]
    assert spec.net.classes == 2


def test_an_image_without_labels_is_named(tmp_path):
    write_folder(tmp_path, {"a": draw_classed(1, 64)})
    cv2.imwrite(str(tmp_path / "images" / "b.png"), np.zeros((9, 9, 3), np.uint8))
    with pytest.raises(ModelError, match=r"cannot read .*b\.png"):
        one(tmp_path)
