from __future__ import annotations

import numpy as np
import pytest
import zarr

from pathopipe.errors import MissingScaleError, UnreadableSlideError
from pathopipe.geometry import Rect
from pathopipe.slide import open_slide
from tests.support.drawn_slides import halved, noise, write_ome_zarr


@pytest.mark.parametrize("axes", ["cyx", "tczyx", "yxc"])
@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_multiscales_of_every_layout(tmp_path, axes, version):
    full = noise(301, 203)
    write_ome_zarr(tmp_path / "a.zarr", [full, halved(full, 2)], axes=axes, mpp=0.5, version=version)
    with open_slide(tmp_path / "a.zarr") as slide:
        info = slide.info
        assert (info.reader, info.width, info.height) == ("omezarr", 301, 203)
        assert [level.downsample_x for level in info.levels] == [1.0, 2.0]
        assert (info.scale.x, info.scale.y) == (0.5, 0.5)
        assert np.array_equal(slide.read(Rect(11, 7, 111, 87), 100, 80), full[7:87, 11:111])
        half = halved(full, 2)
        assert np.array_equal(slide.read(Rect(20, 40, 120, 140), 50, 50), half[20:70, 10:60])


def test_units_are_converted(tmp_path):
    write_ome_zarr(tmp_path / "a.zarr", [noise(80, 80)], mpp=0.00025, unit="millimeter")
    with open_slide(tmp_path / "a.zarr") as slide:
        assert slide.info.scale.x == pytest.approx(0.25)


def test_numbers_without_a_unit_are_no_resolution(tmp_path):
    write_ome_zarr(tmp_path / "a.zarr", [noise(80, 80)], mpp=0.5, unit=None)
    with open_slide(tmp_path / "a.zarr") as slide, pytest.raises(MissingScaleError, match="--mpp"):
        _ = slide.info.scale


def test_missing_chunks_are_the_fill_value(tmp_path):
    path = tmp_path / "a.zarr"
    write_ome_zarr(path, [np.full((128, 128, 3), 40, np.uint8)])
    for channel in range(3):
        (path / "0" / "c" / str(channel) / "0" / "1").unlink()
    with open_slide(path) as slide:
        pixels = slide.read(Rect(0, 0, 128, 128), 128, 128)
    assert (pixels[:64, 64:] == 255).all()
    assert (pixels[64:] == 40).all()


def test_a_memory_url(tmp_path):
    full = noise(100, 90)
    write_ome_zarr("memory://drawn/slide.zarr", [full])
    with open_slide("memory://drawn/slide.zarr") as slide:
        assert slide.info.reader == "omezarr"
        assert len(slide.info.identity) == 32
        assert np.array_equal(slide.read(Rect(0, 0, 100, 90), 100, 90), full)


def test_bioformats2raw_keeps_the_image_one_folder_down(tmp_path):
    root = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=2)
    root.attrs["bioformats2raw.layout"] = 3
    write_ome_zarr(tmp_path / "a.zarr" / "0", [noise(80, 80)], axes="tczyx", version="0.4")
    with open_slide(tmp_path / "a.zarr") as slide:
        assert slide.info.width == 80


def refused(tmp_path, attributes, shape=(3, 64, 64), dtype="uint8"):
    group = zarr.open_group(tmp_path / "a.zarr", mode="w")
    group.create_array("0", shape=shape, dtype=dtype, chunks=tuple(min(64, side) for side in shape))
    group.attrs.update(attributes)
    with pytest.raises(UnreadableSlideError) as caught:
        open_slide(tmp_path / "a.zarr")
    return caught.value.reasons["omezarr"]


def multiscales(axes, **more):
    scale = [{"type": "scale", "scale": [1.0] * len(axes)}]
    datasets = [{"path": "0", "coordinateTransformations": scale}]
    return {"ome": {"multiscales": [{"axes": [{"name": axis} for axis in axes], "datasets": datasets}], **more}}


@pytest.mark.parametrize(
    ("attributes", "shape", "dtype", "reason"),
    [
        ({}, (3, 64, 64), "uint8", "without NGFF multiscales"),
        (multiscales("yx"), (64, 64), "uint8", "axes c, y, x"),
        (multiscales("cyx"), (4, 64, 64), "uint8", "4 channel"),
        (multiscales("cyx"), (3, 64, 64), "uint16", "uint16"),
        (multiscales("zcyx"), (5, 3, 64, 64), "uint8", "5 positions along z"),
        (
            multiscales("cyx", omero={"channels": [{"color": c} for c in ("0000FF", "00FF00", "FF0000")]}),
            (3, 64, 64),
            "uint8",
            "not brightfield",
        ),
    ],
)
def test_what_is_no_brightfield_slide_is_refused(tmp_path, attributes, shape, dtype, reason):
    assert reason in refused(tmp_path, attributes, shape, dtype)
