"""Real slides of several vendors, and real files that are broken in ways that nobody would draw."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pathopipe.errors import MissingScaleError, SlideError, UnreadableSlideError
from pathopipe.geometry import Rect
from pathopipe.slide import SlideSpec, open_slide
from pathopipe.slide.find import find_slides


@pytest.fixture(scope="module")
def slides(real_data):
    return real_data / "slides"


@pytest.mark.parametrize(
    ("name", "reader", "size", "mpp", "source"),
    [
        ("cmu-1-small-region.svs", "direct", (2220, 2967), 0.499, "openslide.mpp-x"),
        ("openslide-python-small.svs", "direct", (16, 16), 0.499, "openslide.mpp-x"),
        ("openslide-python-boxes-dicom", "openslide", (16, 16), 0.499, "openslide.mpp-x"),
        ("openslide-python-boxes-dicom/openslide-python-boxes_1.dcm", "openslide", (16, 16), 0.499, "openslide.mpp-x"),
        ("slideio-test3-DAPI.ndpi", "openslide", (3968, 4864), 0.2282, "openslide.mpp-x"),
        ("negative/wsic-XYC-half-mpp.tiff", "tiffslide", (512, 512), 0.5, "TIFF resolution tag"),
    ],
)
def test_slides_with_a_scale(slides, name, reader, size, mpp, source):
    with open_slide(slides / name) as slide:
        info = slide.info
        assert (info.reader, info.width, info.height) == (reader, *size)
        assert info.scale.x == pytest.approx(mpp, abs=1e-4)
        assert info.scale.source == source
        assert slide.read(Rect(0, 0, info.width, info.height), 40, 30).shape == (30, 40, 3)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("tcga-cr-7395-01a-01-ts1.svs", "does not say its resolution"),
        ("wsic-CMU-1-badmpp.jpeg.tiff", r"0\.00499 µm/px \(TIFF resolution tag\), which is not within 0\.05–20"),
        ("openslide-python-boxes.tiff", r"352\.8 µm/px, a print size"),
        ("negative/CMU-1-Small-Region.webp.tiff", r"0\.00499 µm/px \(TIFF resolution tag\)"),
        ("negative/histolab-kidney-48-5.tif", "does not say its resolution"),
    ],
)
def test_slides_whose_scale_the_user_must_give(slides, name, told):
    with open_slide(slides / name) as slide, pytest.raises(MissingScaleError, match=told + ".*--mpp"):
        _ = slide.info.scale
    with open_slide(slides / name, SlideSpec(mpp=0.25)) as slide:
        assert slide.info.scale.source == "given by the user"
        pixels = slide.read(Rect(0, 0, slide.info.width, slide.info.height), 64, 64)
        assert pixels.std() > 1


@pytest.mark.parametrize(
    ("name", "reasons"),
    [
        ("histolab-broken.svs", {"openslide": "not a format", "tiffslide": "not a TIFF"}),
        ("openslide-python-unopenable.tiff", {"openslide": "Unsupported TIFF compression", "tiffslide": "COMPRESSION"}),
        ("openslide-python-unreadable.svs", {"openslide": "Bogus marker length", "tiffslide": "Bogus marker length"}),
        ("pathml-small_dicom.dcm", {"openslide": "Couldn't get image flavor", "tiffslide": "not a TIFF"}),
        ("pathml-small_vectra.qptiff", {"openslide": "not a format", "tiffslide": "3 channel.*minisblack"}),
        ("pathml-smalltif.tif", {"openslide": "not a format", "tiffslide": "uint16"}),
        ("wsic-CMU-J2K-dicom", {"openslide": "Unsupported photometric interpretation", "tiffslide": "a folder"}),
        ("wsic-CMU-dicom", {"openslide": "Unsupported photometric interpretation", "tiffslide": "a folder"}),
    ],
)
def test_what_no_reader_opens_has_a_reason_for_each(slides, name, reasons):
    with pytest.raises(UnreadableSlideError) as caught:
        open_slide(slides / "negative" / name)
    assert set(caught.value.reasons) == {"direct", "openslide", "tiffslide", "omezarr"}
    for reader, part in reasons.items():
        with pytest.raises(SlideError, match=part):
            raise SlideError(caught.value.reasons[reader])


def test_readers_decode_the_same_pixels(slides):
    for name, size in (("cmu-1-small-region.svs", 512), ("tcga-cr-7395-01a-01-ts1.svs", 1024)):
        read = []
        for reader in ("openslide", "tiffslide"):
            with open_slide(slides / name, SlideSpec(reader=reader)) as slide:
                read.append(slide.read(Rect(400, 500, 1424, 1524), size, size).astype(int))
        assert np.abs(read[0] - read[1]).max() <= 1, name


def test_tiles_are_decoded_to_openslides_pixels(slides):
    for name in ("cmu-1-small-region.svs", "wsic-CMU-1-badmpp.jpeg.tiff", "openslide-python-small.svs"):
        with (
            open_slide(slides / name) as direct,
            open_slide(slides / name, SlideSpec(reader="openslide")) as openslide,
        ):
            assert direct.info.reader == "direct"
            size = direct.info.width, direct.info.height
            assert np.array_equal(direct.read(Rect(0, 0, *size), *size), openslide.read(Rect(0, 0, *size), *size))
            facts = replace(direct.info, reader="openslide", decoding=openslide.info.decoding)
            assert facts == openslide.info


def test_half_and_quarter_are_decoded_to_nearly_the_mean_of_areas(slides):
    for name in ("cmu-1-small-region.svs", "wsic-CMU-1-badmpp.jpeg.tiff"):
        with (
            open_slide(slides / name) as direct,
            open_slide(slides / name, SlideSpec(reader="openslide")) as openslide,
        ):
            for scale in (2, 4):
                width, height = direct.info.width // scale, direct.info.height // scale
                rect = Rect(0, 0, width * scale, height * scale)
                off = np.abs(direct.read(rect, width, height).astype(int) - openslide.read(rect, width, height))
                assert off.mean() < 0.5
                assert np.quantile(off, 0.999) <= 12


@pytest.mark.parametrize(
    "name", ["tcga-cr-7395-01a-01-ts1.svs", "openslide-python-boxes.tiff", "slideio-test3-DAPI.ndpi"]
)
def test_what_is_not_jpeg_tiles_is_left_to_openslide(slides, name):
    with open_slide(slides / name) as slide:
        assert (slide.info.reader, slide.info.decoding) == ("openslide", "by OpenSlide")


def test_openslide_interpolates_levels_of_a_broken_downsample_by_little(slides):
    """Of 4443 columns 2221 remain: OpenSlide takes a factor of 2.0005 and mixes neighbours by up to a quarter."""
    read = []
    for reader in ("openslide", "tiffslide"):
        with open_slide(slides / "tcga-cr-7395-01a-01-ts1.svs", SlideSpec(reader=reader)) as slide:
            read.append(slide.read(Rect(400, 500, 1424, 1524), 512, 512).astype(int))
    assert np.abs(read[0] - read[1]).mean() < 3


def test_levels_lie_on_each_other(slides):
    """Level 1 of the JPEG 2000 slide, 2221 of 4443 columns, shows what level 0 shows at the same place."""
    with open_slide(slides / "tcga-cr-7395-01a-01-ts1.svs") as slide:
        grey = []
        for scale in (1.9, 2.0):
            rect = Rect(3800, 2900, 3800 + 256 * scale, 2900 + 256 * scale)
            grey.append(slide.read(rect, round(256 * scale / 2), round(256 * scale / 2)).mean(axis=2))
        fine = slide.read(Rect(3800, 2900, 4312, 3412), 512, 512).mean(axis=2)
    coarse = fine.reshape(256, 2, 256, 2).mean(axis=(1, 3))
    moved = {shift: np.abs(np.roll(coarse, shift, axis=1) - grey[1])[8:-8, 8:-8].mean() for shift in (-1, 0, 1)}
    assert min(moved, key=moved.__getitem__) == 0


def test_fluorescence_is_remarked(slides):
    with open_slide(slides / "slideio-test3-DAPI.ndpi") as slide:
        assert any("fluorescence" in remark for remark in slide.info.unusual)


def test_the_folder_holds_eighteen_slides(slides):
    found = find_slides([slides])
    assert len(found.slides) == 18
    assert len({slide.id for slide in found.slides}) == 18
    assert found.ignored == {".md": 1}
