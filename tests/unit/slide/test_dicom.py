from __future__ import annotations

import pytest

from pathopipe.errors import SlideError
from pathopipe.slide import dicom
from tests.support.drawn_dicom import EXPLICIT, IMPLICIT, write_head


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_the_series_is_read_past_nested_ones(tmp_path, syntax):
    assert dicom.series(write_head(tmp_path / "a.dcm", "1.2.345", syntax)) == "1.2.345"


@pytest.mark.parametrize("content", [b"", b"x" * 500, bytes(128) + b"DICM", bytes(128) + b"DICM\x08\x00\x15\x11SQ"])
def test_what_is_no_whole_dicom_has_no_series(tmp_path, content):
    path = tmp_path / "a.dcm"
    path.write_bytes(content)
    assert dicom.series(path) is None
    assert dicom.series(tmp_path / "gone.dcm") is None


def test_siblings_are_the_files_of_the_series(tmp_path):
    ours = [write_head(tmp_path / name, "1.2") for name in ("b.dcm", "a.dcm")]
    write_head(tmp_path / "c.dcm", "1.3")
    (tmp_path / "notes.txt").write_text("no DICOM")
    assert dicom.siblings(ours[0]) == sorted(ours)


def test_a_folder_is_a_slide_if_it_holds_one_series(tmp_path):
    with pytest.raises(SlideError, match="without DICOM"):
        dicom.any_file(tmp_path)
    first = write_head(tmp_path / "a.dcm", "1.2")
    assert dicom.any_file(tmp_path) == first
    write_head(tmp_path / "b.dcm", "1.3")
    with pytest.raises(SlideError, match=r"2 DICOM series; name a file .*a\.dcm, b\.dcm"):
        dicom.any_file(tmp_path)


def test_a_file_that_changed_is_read_again(tmp_path):
    path = write_head(tmp_path / "a.dcm", "1.2")
    assert dicom.series(path) == "1.2"
    write_head(path, "1.2.3.4.5")
    assert dicom.series(path) == "1.2.3.4.5"
