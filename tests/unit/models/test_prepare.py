"""The training recipe's script that prepares the public images."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
from PIL import Image

SCRIPT = Path(__file__).parents[3] / "workflows" / "train-nuclei" / "prepare.py"


def test_both_parts_are_brought_to_images_and_labels(tmp_path):
    spec = importlib.util.spec_from_file_location("prepare", SCRIPT)
    prepare = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(prepare)
    pink = np.full((6, 4, 3), (220, 150, 180), np.uint8)
    for part, name, rgb in (("train", "a", pink), ("train", "grey", pink[..., :1].repeat(3, 2)), ("test", "b", pink)):
        folder = tmp_path / "in" / f"stage1_{part}" / name / "images"
        folder.mkdir(parents=True)
        Image.fromarray(rgb).save(folder / f"{name}.png")
    masks = tmp_path / "in" / "stage1_train" / "a" / "masks"
    masks.mkdir()
    for number in range(2):
        mask = np.zeros((6, 4), np.uint8)
        mask[number * 3, 1:3] = 255
        Image.fromarray(mask).save(masks / f"{number}.png")
    (tmp_path / "in" / "stage1_solution.csv").write_text(
        "ImageId,EncodedPixels,Height,Width\nb,2 3,6,4\nb,9 1 15 2,6,4\n"
    )
    prepare.main(tmp_path / "in", tmp_path / "out")
    train = np.asarray(Image.open(tmp_path / "out" / "stage1_train" / "labels" / "a.png"))
    assert train[0, 1] == train[0, 2] == 1
    assert train[3, 1] == 2
    assert (train > 0).sum() == 4
    assert (tmp_path / "out" / "stage1_train" / "groups.csv").read_text().split() == ["id,group", "a,pink_HE"]
    test = np.asarray(Image.open(tmp_path / "out" / "stage1_test" / "labels" / "b.png"))
    assert test[1:4, 0].tolist() == [1, 1, 1]
    assert test[2, 1] == test[2, 2] == test[3, 2] == 2
    assert not (tmp_path / "out" / "stage1_train" / "images" / "grey.png").exists()
