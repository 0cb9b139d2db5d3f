"""Contact sheets: which objects they show, and that outlines lie where the pixels are."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from PIL import Image

from pathopipe.errors import SlideError
from pathopipe.evaluation import EvaluationError
from pathopipe.geometry import Rect
from pathopipe.report.contact import MOST, PREDICTED, SIDE_PX, TRUTH, Case, _close_up, read_cases, write_contact_sheets
from pathopipe.report.image_files import open_image


def squares(*places):
    return np.array([shapely.box(x, y, x + 10, y + 10) for x, y in places], object).reshape(len(places))


def picture(path, size=(200, 150), dark=()):
    pixels = np.full((size[1], size[0], 3), 230, np.uint8)
    for x, y in dark:
        pixels[y : y + 10, x : x + 10] = (60, 20, 90)
    Image.fromarray(pixels).save(path)
    return path


def read_nothing(_):
    raise AssertionError


def test_sheets_count_hits_misses_and_false_alarms(tmp_path):
    image = picture(tmp_path / "a.png")
    cases = [
        Case("a", image, squares((0, 0), (52, 0), (100, 100)), squares((0, 0), (50, 0), (90, 60), (150, 50))),
        Case("b", image, squares(), squares((30, 30))),
    ]
    written = write_contact_sheets(tmp_path / "sheets", cases)
    assert {path.name: number for path, number in written.items()} == {
        "hits.png": 2,
        "misses.png": 3,
        "false_alarms.png": 1,
    }
    before = (tmp_path / "sheets" / "hits.png").read_bytes()
    write_contact_sheets(tmp_path / "sheets", cases)
    assert (tmp_path / "sheets" / "hits.png").read_bytes() == before


def test_a_sheet_without_objects_replaces_the_earlier_one(tmp_path):
    image = picture(tmp_path / "a.png")
    write_contact_sheets(tmp_path, [Case("a", image, squares(), squares((0, 0)))])
    earlier = (tmp_path / "misses.png").read_bytes()
    written = write_contact_sheets(tmp_path, [Case("a", image, squares((0, 0)), squares((0, 0)))])
    assert written[tmp_path / "misses.png"] == 0
    assert (tmp_path / "misses.png").read_bytes() != earlier


def test_of_many_objects_a_lot_is_shown_and_all_are_counted(tmp_path):
    many = squares(*((15 * x, 15 * y) for x in range(12) for y in range(9)))
    written = write_contact_sheets(tmp_path, [Case("a", picture(tmp_path / "a.png"), squares(), many)])
    assert written[tmp_path / "misses.png"] == len(many) > MOST
    with Image.open(tmp_path / "misses.png") as sheet:
        assert sheet.height < 1400


def test_outlines_lie_on_their_nuclei(tmp_path):
    case = Case("a", picture(tmp_path / "a.png", dark=[(60, 40)]), squares((70, 40)), squares((60, 40)))
    with open_image(case.image) as read:
        pixels = np.asarray(_close_up(read, case, case.truth[0])).astype(int)
    drawn, plain = pixels[:, :SIDE_PX], pixels[:, -SIDE_PX:]
    inside = plain.sum(axis=2) < 400
    y, x = np.nonzero(inside)
    truth = np.nonzero((np.abs(drawn - TRUTH).sum(axis=2)) < 60)
    for axis, nucleus in zip(truth, (y, x), strict=True):
        assert abs(axis.min() - nucleus.min()) <= 2
        assert abs(axis.max() - nucleus.max()) <= 2
    predicted = np.nonzero((np.abs(drawn - PREDICTED).sum(axis=2)) < 60)
    assert predicted[1].min() >= x.max() - 2


def test_a_picture_is_read_at_any_scale_and_is_grey_beyond(tmp_path):
    with open_image(picture(tmp_path / "a.png", dark=[(60, 40)])) as read:
        exact = read(Rect(55, 35, 75, 55), 20, 20)
        assert (exact[5:15, 5:15] == (60, 20, 90)).all()
        assert (exact.sum(axis=2) == 170).sum() == 100
        assert (read(Rect(55, 35, 75, 55), 40, 40).sum(axis=2) < 300).sum() == pytest.approx(400, abs=60)
        assert (read(Rect(-20, -20, 0, 0), 5, 5) == 205).all()


def test_a_slide_is_read_too(drawn_slide):
    with open_image(drawn_slide.slide) as read:
        assert read(Rect(0, 0, 100, 100), 50, 50).shape == (50, 50, 3)


def test_missing_and_broken_images_are_named(tmp_path):
    for folder in ("p", "t", "images"):
        (tmp_path / folder).mkdir()
    for folder in ("p", "t"):
        for stem in ("a", "b"):
            np.save(tmp_path / folder / f"{stem}.npy", np.eye(20, dtype=int))
    image = picture(tmp_path / "images" / "a.png")
    with pytest.raises(EvaluationError, match="lacks 1 images; one is that of 'b'"):
        read_cases(tmp_path / "p", tmp_path / "t", tmp_path / "images", read_nothing)
    (case,) = read_cases(tmp_path / "p" / "a.npy", tmp_path / "t" / "a.npy", image, read_nothing)
    assert (case.name, case.image, len(case.truth)) == ("a", image, 1)
    image.write_bytes(b"no picture")
    with pytest.raises(SlideError, match=r"cannot read the image .*a\.png"):
        write_contact_sheets(tmp_path / "sheets", [case])
