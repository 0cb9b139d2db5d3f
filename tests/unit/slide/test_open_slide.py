from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

import pytest

from pathopipe.errors import ConfigError, SlideError, UnreadableSlideError
from pathopipe.slide import Reader, Slide, SlideSpec, open_slide
from pathopipe.slide.direct import DirectReader
from pathopipe.slide.omezarr import OmeZarrReader
from pathopipe.slide.open import pinned
from pathopipe.slide.openslide import OpenSlideReader
from pathopipe.slide.tiffslide import TiffSlideReader
from tests.support.drawn_slides import noise, write_tiff


def test_the_readers_are_readers(tmp_path):
    path = write_tiff(tmp_path / "a.tif", [noise(300, 300)])
    readers: list[Reader] = [DirectReader(), OpenSlideReader(), TiffSlideReader(), OmeZarrReader()]
    assert [reader.name for reader in readers] == ["direct", "openslide", "tiffslide", "omezarr"]
    slide: Slide = readers[1].open(str(path), SlideSpec())
    slide.close()


def test_one_error_lists_every_readers_reason(tmp_path):
    path = tmp_path / "notes.svs"
    path.write_text("not a slide")
    with pytest.raises(UnreadableSlideError) as caught:
        open_slide(path)
    assert caught.value.reasons == {
        "direct": "not a TIFF file",
        "openslide": "not a format that OpenSlide knows",
        "tiffslide": "not a TIFF file",
        "omezarr": "a file, not an OME-Zarr folder",
    }
    assert str(caught.value).count("notes.svs") == 1


def test_only_the_named_reader_is_asked(tmp_path):
    path = write_tiff(tmp_path / "a.tif", [noise(300, 300)])
    with open_slide(path, SlideSpec(reader="tiffslide")) as slide:
        assert slide.info.reader == "tiffslide"
    with pytest.raises(UnreadableSlideError) as caught:
        open_slide(path, SlideSpec(reader="omezarr"))
    assert list(caught.value.reasons) == ["omezarr"]


def test_an_unknown_reader_is_a_wrong_setting(tmp_path):
    path = write_tiff(tmp_path / "a.tif", [noise(300, 300)])
    with pytest.raises(
        ConfigError, match="no reader named 'bioformats'; there are: direct, omezarr, openslide, tiffslide"
    ):
        open_slide(path, SlideSpec(reader="bioformats"))


def test_a_missing_file(tmp_path):
    with pytest.raises(SlideError, match=r"gone\.svs does not exist$"):
        open_slide(tmp_path / "gone.svs")


def test_a_dangling_link(tmp_path):
    (tmp_path / "link.svs").symlink_to(tmp_path / "gone.svs")
    with pytest.raises(SlideError, match="a link to a file that is gone"):
        open_slide(tmp_path / "link.svs")


def test_an_empty_file(tmp_path):
    (tmp_path / "empty.svs").touch()
    with pytest.raises(SlideError, match="is empty"):
        open_slide(tmp_path / "empty.svs")


def test_a_folder_of_slides_is_no_slide(tmp_path):
    write_tiff(tmp_path / "a.tif", [noise(300, 300)])
    with pytest.raises(SlideError, match="is a folder, not a slide"):
        open_slide(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    path = write_tiff(tmp_path / "a.tif", [noise(300, 300)])
    path.chmod(0)
    with pytest.raises(SlideError, match="no permission"):
        open_slide(path)


def test_a_truncated_slide_is_told_when_it_is_opened(tmp_path):
    path = write_tiff(tmp_path / "a.tif", [noise(600, 600)])
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 4])
    with pytest.raises(UnreadableSlideError):
        open_slide(path)


def test_importing_the_room_loads_no_decoder():
    decoders = ("openslide", "simplejpeg", "tiffslide", "zarr", "cv2")
    code = f"import pathopipe.slide, sys; print([m for m in {decoders} if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_other_processes_take_the_reader_that_was_found(tmp_path):
    spec = SlideSpec(mpp=0.3)
    with open_slide(write_tiff(tmp_path / "a.tif", [noise(300, 300)]), spec) as slide:
        assert pinned(spec, slide.info) == SlideSpec(reader="openslide", mpp=0.3)
        assert pinned(spec, replace(slide.info, reader="of another package")) == spec
