"""Label images and polygons that would fill the memory are refused before they do."""

from __future__ import annotations

import gzip
import json
import struct
import zipfile
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from pathopipe.annotations.read import read_outlines
from pathopipe.annotations.validate import validate
from pathopipe.cli.options import limits_of
from pathopipe.errors import ConfigError, GeoJSONError, LimitError, SlideError
from pathopipe.evaluation import evaluate_files
from pathopipe.evaluation.labels import read_labels
from pathopipe.evaluation.pairs import EvaluationError
from pathopipe.limits import LimitsSpec
from pathopipe.pictures import check_training_picture
from pathopipe.report.image_files import open_image

SMALL = LimitsSpec(max_image_px=99)


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header claims a size; its data are a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    )


def test_a_picture_is_measured_before_it_is_decoded(tmp_path):
    (tmp_path / "bomb.png").write_bytes(png_of(100_000, 100_000))
    with pytest.raises(LimitError, match=r"bomb.png: pixels: 10,000,000,000, .*max_image_px=10000000000"):
        read_labels(tmp_path / "bomb.png")
    with pytest.raises(LimitError, match=r"bomb.png: pixels: 10,000,000,000, .*; cut it into tiles"):
        check_training_picture(tmp_path / "bomb.png")
    with pytest.raises(LimitError, match=r"limits.max_image_px"), open_image(tmp_path / "bomb.png"):
        pass
    assert Image.MAX_IMAGE_PIXELS is not None
    with pytest.raises(LimitError, match=r"limits.max_image_px"):
        evaluate_files(tmp_path / "bomb.png", tmp_path / "bomb.png")


def test_an_array_is_measured_before_it_is_read(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((10, 10), np.uint8))
    assert read_labels(tmp_path / "a.npy").sum() == 100
    with pytest.raises(LimitError, match=r"a.npy: values: 100, and no more than limits.max_image_px=99"):
        read_labels(tmp_path / "a.npy", SMALL)
    head = np.lib.format.header_data_from_array_1_0(np.ones((10, 10), np.uint8)) | {"shape": (10**9, 10**9)}
    with open(tmp_path / "b.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, head)
        file.write(bytes(100))
    with pytest.raises((LimitError, EvaluationError)):
        read_labels(tmp_path / "b.npy")


def test_pickles_in_arrays_are_not_unpacked(tmp_path):
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], object), allow_pickle=True)
    with pytest.raises(EvaluationError, match="cannot read the label image"):
        read_labels(tmp_path / "a.npy")


def test_a_tiff_is_measured_before_it_is_decoded(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((10, 10), np.uint8))
    assert read_labels(tmp_path / "a.tif").sum() == 100
    with pytest.raises(LimitError, match=r"limits.max_image_px=99"):
        read_labels(tmp_path / "a.tif", SMALL)


def test_a_picture_of_a_slide_is_read_within_limits(tmp_path):
    (tmp_path / "broken.png").write_bytes(png_of(100, 100)[:40])
    with pytest.raises(SlideError, match="cannot read the image"), open_image(tmp_path / "broken.png"):
        pass


@pytest.mark.parametrize("kind", ["gz", "zip"])
def test_an_archive_is_unpacked_up_to_the_limit(tmp_path, kind):
    path = tmp_path / f"bomb.geojson.{kind}"
    with gzip.open(path, "wb") if kind == "gz" else zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        inner = file.open("a.geojson", "w") if kind == "zip" else file
        for _ in range(20):
            inner.write(b" " * 1_000_000)
        if kind == "zip":
            inner.close()
    assert path.stat().st_size < 50_000
    for read in (read_outlines, validate):
        with pytest.raises(GeoJSONError, match=r"larger than 1,000,000 bytes unpacked; .*--set limits.max_text_bytes"):
            read(path, 1_000_000)


def test_deep_nesting_is_told(tmp_path):
    (tmp_path / "a.geojson").write_text('{"type":"FeatureCollection","features":[' + "[" * 100_000)
    with pytest.raises(GeoJSONError, match="nested too deeply"):
        read_outlines(tmp_path / "a.geojson")
    nested = '{"type":"Polygon","coordinates":' + "[" * 900 + "]" * 900 + "}"
    (tmp_path / "b.geojson").write_text('{"type":"Feature","properties":{},"geometry":' + nested + "}")
    with pytest.raises(GeoJSONError, match="feature 1 cannot be read"):
        read_outlines(tmp_path / "b.geojson")
    assert not validate(tmp_path / "b.geojson").ok


def test_numbers_that_are_none_are_told(tmp_path):
    for number in ("NaN", "1e999", "9" * 5000):
        ring = f"[[0,0],[9,0],[9,{number}],[0,0]]"
        (tmp_path / "a.geojson").write_text(
            f'{{"type":"Feature","properties":{{}},"geometry":{{"type":"Polygon","coordinates":[{ring}]}}}}'
        )
        with pytest.raises(GeoJSONError):
            read_outlines(tmp_path / "a.geojson")


def test_commands_take_the_settings_of_limits_alone():
    assert limits_of(["limits.max_text_bytes=5"]).max_text_bytes == 5
    assert limits_of(None) == LimitsSpec()
    with pytest.raises(ConfigError, match="settings of limits alone"):
        limits_of(["grid.tile_px=512"])
    with pytest.raises(ConfigError, match="no such key"):
        limits_of(["limits.max_cells=512"])
    json.dumps(LimitsSpec().model_dump())
