"""Bring the 2018 Data Science Bowl into the form that ``pathopipe train`` reads.

    python prepare.py download data

``download`` holds ``stage1_train/`` and ``stage1_test/`` as unpacked (a folder an image with images/ID.png, and
masks/*.png in the training part) and ``stage1_solution.csv`` (ImageId, EncodedPixels, Height, Width). Written are
``data/<part>/images/ID.png``, ``labels/ID.png`` (16-bit ids) and, for the training part, ``groups.csv``. Only images
with colour are taken: they are the stained tissue.
"""

from __future__ import annotations

import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

COLOURED = 5.0
"""Mean difference between the largest and smallest of red, green and blue; fluorescence images are grey."""


def main(download: Path, data: Path) -> None:
    """Write both parts."""
    groups = {}
    for name, rgb, labels in training_part(download / "stage1_train"):
        write(data / "stage1_train", name, rgb, labels)
        groups[name] = group(rgb, labels)
    with open(data / "stage1_train" / "groups.csv", "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("id", "group"), *sorted(groups.items())])
    for name, rgb, labels in test_part(download / "stage1_test", download / "stage1_solution.csv"):
        write(data / "stage1_test", name, rgb, labels)


def training_part(folder: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield id, RGB and labels of the coloured training images."""
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        rgb = coloured(each / "images" / f"{each.name}.png")
        if rgb is not None:
            labels = np.zeros(rgb.shape[:2], np.uint16)
            for number, mask in enumerate(sorted((each / "masks").glob("*.png")), start=1):
                labels[np.asarray(Image.open(mask).convert("L")) > 0] = number
            yield each.name, rgb, labels


def test_part(folder: Path, solution: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield id, RGB and labels of the coloured test images; their masks are run lengths down the columns."""
    runs = defaultdict(list)
    with open(solution, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            runs[row["ImageId"]].append(np.array(row["EncodedPixels"].split(), int))
    for each in sorted(path for path in folder.iterdir() if path.is_dir()):
        rgb = coloured(each / "images" / f"{each.name}.png")
        if rgb is not None and each.name in runs:
            flat = np.zeros(rgb.shape[0] * rgb.shape[1], np.uint16)
            for number, run in enumerate(runs[each.name], start=1):
                for start, length in zip(run[::2], run[1::2], strict=True):
                    flat[start - 1 : start - 1 + length] = number
            yield each.name, rgb, flat.reshape(rgb.shape[:2], order="F")


def coloured(path: Path) -> np.ndarray | None:
    """Return the image as RGB, or None if it is grey."""
    rgb = np.asarray(Image.open(path).convert("RGB"))
    return rgb if float(np.ptp(rgb.astype(int), axis=2).mean()) > COLOURED else None


def group(rgb: np.ndarray, labels: np.ndarray) -> str:
    """Return the look of an image by the median colour outside its nuclei."""
    red, green, blue = np.median(rgb[labels == 0], axis=0)
    if min(red, green, blue) > 195:
        return "white_bg_purple"
    return "pink_HE" if red > blue else "purple_bg"


def write(folder: Path, name: str, rgb: np.ndarray, labels: np.ndarray) -> None:
    """Write one image and its labels."""
    for part, array in (("images", rgb), ("labels", labels)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(folder / part / f"{name}.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
