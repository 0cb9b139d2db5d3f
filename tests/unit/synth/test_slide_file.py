"""The file of a drawn slide: read back by OpenSlide, compared with what was drawn."""

from __future__ import annotations

import shutil
import uuid
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import openslide
import orjson
import pytest
import shapely
from numpy.typing import NDArray

from pathopipe.errors import ConfigError
from pathopipe.geometry import Box
from pathopipe.synth import truth as truth_module
from pathopipe.synth.region import draw_region
from pathopipe.synth.slide import draw_slide
from pathopipe.synth.spec import SynthResult, SynthSpec

SPEC = SynthSpec(width=1500, height=1100, seed=7, tissue_fraction=0.8, jpeg_quality=95)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> SynthResult:
    return draw_slide(tmp_path_factory.mktemp("drawn") / "one.svs", SPEC)


def pixels(slide: openslide.OpenSlide, level: int) -> NDArray[np.uint8]:
    return np.asarray(slide.read_region((0, 0), level, slide.level_dimensions[level]).convert("RGB"))


def features(truth: Path) -> dict[str, list[dict[str, Any]]]:
    with zipfile.ZipFile(truth) as file:
        assert file.testzip() is None
        return {name: orjson.loads(file.read(name))["features"] for name in file.namelist()}


def test_openslide_sees_an_aperio_slide(drawn: SynthResult) -> None:
    with openslide.OpenSlide(drawn.slide) as slide:
        facts = slide.properties
        assert facts["openslide.vendor"] == "aperio"
        assert float(facts["openslide.mpp-x"]) == float(facts["openslide.mpp-y"]) == 0.25
        assert float(facts["openslide.objective-power"]) == 40
        assert slide.level_dimensions == ((1500, 1100), (375, 275), (93, 68))
        assert set(slide.associated_images) == {"thumbnail"}
        assert "drawn by pathopipe" in facts["tiff.ImageDescription"]


def test_the_file_holds_what_was_drawn(drawn: SynthResult) -> None:
    region = draw_region(SPEC, Box(0, 0, SPEC.width, SPEC.height))
    with openslide.OpenSlide(drawn.slide) as slide:
        assert np.abs(pixels(slide, 0).astype(int) - region.rgb).mean() < 2
    assert drawn.nuclei == len(region.outlines)


def test_levels_are_area_averages(drawn: SynthResult) -> None:
    with openslide.OpenSlide(drawn.slide) as slide:
        finest = pixels(slide, 0).astype(np.float32)
        for level, by in ((1, 4), (2, 16)):
            coarse = pixels(slide, level)
            height, width = coarse.shape[:2]
            cut = finest[: height * by, : width * by].reshape(height, by, width, by, 3)
            off = cut.mean(axis=(1, 3)) - coarse
            assert np.abs(off.mean(axis=(0, 1))).max() < 0.5
            assert np.abs(off).mean() < 4  # JPEG, of pictures full of detail


def test_a_generic_tiff_carries_its_resolution(tmp_path: Path) -> None:
    spec = SynthSpec(width=1000, height=700, seed=7, mpp=0.5, objective=20, levels=(1, 2, 8))
    result = draw_slide(tmp_path / "small.tif", spec)
    with openslide.OpenSlide(result.slide) as slide:
        assert slide.properties["openslide.vendor"] == "generic-tiff"
        assert float(slide.properties["openslide.mpp-x"]) == pytest.approx(0.5)
        assert slide.level_dimensions == ((1000, 700), (500, 350), (125, 87))
        drawn = draw_region(spec, Box(0, 0, 1000, 700)).rgb
        assert np.abs(pixels(slide, 0).astype(int) - drawn).mean() < 4


@pytest.mark.parametrize("size", [(128, 128), (257, 513), (1025, 300)])
def test_sizes_that_are_no_multiples_of_a_tile(tmp_path: Path, size: tuple[int, int]) -> None:
    result = draw_slide(tmp_path / "odd.svs", SynthSpec(width=size[0], height=size[1], seed=7))
    with openslide.OpenSlide(result.slide) as slide:
        assert slide.dimensions == size
        assert slide.level_count == 3


def test_the_truth_is_what_qupath_reads(drawn: SynthResult) -> None:
    parts = features(drawn.truth)
    assert list(parts) == ["part-0001.geojson", "tissue.geojson"]
    nuclei, (tissue,) = parts["part-0001.geojson"], parts["tissue.geojson"]
    assert len(nuclei) == drawn.nuclei
    ids = {uuid.UUID(nucleus["id"]) for nucleus in (*nuclei, tissue)}
    assert len(ids) == len(nuclei) + 1
    for nucleus in nuclei:
        assert nucleus["properties"]["objectType"] == "detection"
        assert len(nucleus["properties"]["classification"]["color"]) == 3
        ring = nucleus["geometry"]["coordinates"][0]
        assert ring[0] == ring[-1]
    polygons = shapely.polygons([nucleus["geometry"]["coordinates"][0] for nucleus in nuclei])
    assert shapely.is_valid(shapely.set_precision(polygons, 0.01, mode="pointwise")).all()
    areas = [nucleus["properties"]["measurements"]["Area µm^2"] for nucleus in nuclei]
    np.testing.assert_allclose(shapely.area(polygons) * 0.25**2, areas, atol=0.001)

    assert tissue["properties"]["objectType"] == "annotation"
    outline = shapely.from_geojson(orjson.dumps(tissue["geometry"]))
    assert outline.is_valid
    assert outline.area * 0.25**2 / 1e6 == pytest.approx(drawn.tissue_mm2, rel=0.02)
    assert shapely.contains_xy(outline, *shapely.get_coordinates(shapely.centroid(polygons)).T).mean() > 0.99


def test_the_same_bytes_whatever_the_workers(tmp_path: Path) -> None:
    spec = SynthSpec(width=1500, height=400, seed=7, tissue_fraction=0.8)
    serial, workers = (draw_slide(tmp_path / f"{count}.svs", spec, workers=count) for count in (1, 2))
    assert workers.slide.read_bytes() == serial.slide.read_bytes()
    assert workers.truth.read_bytes() == serial.truth.read_bytes()
    assert (workers.nuclei, workers.tissue_mm2) == (serial.nuclei, serial.tissue_mm2)


def test_many_nuclei_go_into_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(truth_module, "PART_NUCLEI", 10)
    result = draw_slide(tmp_path / "one.svs", SynthSpec(width=600, height=600, seed=7, tissue_fraction=1))
    parts = features(result.truth)
    assert len(parts) == -(-result.nuclei // 10) + 1 > 3
    assert sum(map(len, parts.values())) == result.nuclei + 1


def test_progress_counts_blocks(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    draw_slide(
        tmp_path / "one.tiff", SynthSpec(width=1500, height=300, seed=7), lambda done, of: told.append((done, of))
    )
    assert told == [(1, 2), (2, 2)]


def test_a_failure_leaves_nothing_and_keeps_what_was(tmp_path: Path) -> None:
    before = tmp_path / "one.svs"
    before.write_text("the slide of yesterday")

    def fail(done: int, of: int) -> None:
        raise RuntimeError("the user pressed a key")

    with pytest.raises(RuntimeError, match="pressed"):
        draw_slide(before, SynthSpec(width=300, height=300, seed=7), fail)
    assert [path.name for path in tmp_path.iterdir()] == ["one.svs"]
    assert before.read_text() == "the slide of yesterday"


def test_what_cannot_be_written_is_refused_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = SynthSpec(width=300, height=300, seed=7)
    with pytest.raises(ConfigError, match=r"\.svs"):
        draw_slide(tmp_path / "one.png", spec)
    with pytest.raises(ConfigError, match="no folder"):
        draw_slide(tmp_path / "missing" / "one.svs", spec)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10**6))
    with pytest.raises(ConfigError, match="GB free"):
        draw_slide(tmp_path / "one.svs", spec)
    assert not list(tmp_path.iterdir())
