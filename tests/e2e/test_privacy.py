"""What a slide carries besides its tissue stays in the slide, and nothing leaves the machine."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
import zarr
from PIL import Image

from pathopipe.synth.slide import draw_slide
from pathopipe.synth.spec import SynthSpec
from tests.support.cli import command, environment, summary
from tests.support.leaks import places_of

GUARD = Path(__file__).parents[1] / "support" / "guard"
LABEL = (255, 0, 254)
SECRETS = ("Roe^Jane", "4711-0815", "Dr. House", "01/02/34", "SS1302", "ScanScope")
COMMENT = (
    "Aperio Image Library v12.0.15 \r\n{size} [0,0 {size}] (256x256) JPEG/RGB Q=90|AppMag = 40|MPP = 0.25|"
    "Patient = Roe^Jane|Barcode = 4711-0815|User = Dr. House|Date = 01/02/34|ScanScope ID = SS1302"
)


def guarded(log: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line without a network, and with labels that nobody may look at."""
    added = {"PYTHONPATH": str(GUARD), "PATHOPIPE_GUARD_LOG": str(log), "PATHOPIPE_GUARD_LABELS": "1"}
    return subprocess.run(
        command(*arguments), capture_output=True, text=True, env=environment() | added, timeout=600, check=False
    )


def told(log: Path) -> list[str]:
    return log.read_text(encoding="utf-8").splitlines() if log.exists() else []


@pytest.fixture(scope="module")
def labelled(tmp_path_factory):
    """A drawn slide with a label and a macro picture, and metadata that tell of a patient."""
    path = draw_slide(tmp_path_factory.mktemp("labelled") / "s.svs", SynthSpec(width=1100, height=800, seed=5)).slide
    picture = np.full((120, 200, 3), LABEL, np.uint8)
    with tifffile.TiffWriter(path, append=True) as writer:
        for name, compression, kind in (("label", "lzw", 1), ("macro", "jpeg", 9)):
            about = f"Aperio Image Library v12.0.15\r\n{name} 200x120"
            writer.write(
                picture, photometric="rgb", compression=compression, description=about, metadata=None, subfiletype=kind
            )
    tifffile.tiffcomment(path, COMMENT.format(size="1100x800"), pageindex=0)
    with openslide.OpenSlide(path) as slide:
        assert {"label", "macro"} <= set(slide.associated_images)
        assert slide.properties["aperio.Patient"] == "Roe^Jane"
    return path


@pytest.mark.parametrize("reader", ["auto", "tiffslide"])
def test_labels_are_never_looked_at_and_no_metadata_leave_the_slide(labelled, tmp_path, reader):
    out, log = tmp_path / "out", tmp_path / "log"
    done = guarded(log, "run", labelled, "--out", out, "--workers", 1, "--set", f"slide.reader={reader}")
    assert done.returncode == 0, done.stderr
    assert told(log) == []
    assert summary(out)["s"]["status"] == "complete"
    assert places_of(SECRETS, out) == []
    assert not any(secret in done.stdout + done.stderr for secret in SECRETS)
    pixels = [np.asarray(Image.open(out / "s" / "overview.png").convert("RGB"))]
    pixels += [array[:].transpose(1, 2, 0) for _, array in zarr.open_group(out / "s" / "tiles.zarr", mode="r").arrays()]
    assert not any((np.abs(each.astype(int) - LABEL) < 12).all(axis=2).any() for each in pixels)
    info = guarded(log, "info", labelled, "--json")
    assert not any(secret in info.stdout for secret in SECRETS)
    assert told(log) == []


def test_a_broken_slide_tells_nothing_of_its_patient(labelled, tmp_path):
    data = bytearray(labelled.read_bytes())
    start = data.find(b"\xff\xd8")
    data[start : start + 60_000] = bytes(60_000)
    (tmp_path / "holes.svs").write_bytes(data)
    (tmp_path / "cut.svs").write_bytes(labelled.read_bytes()[:90_000])
    log = tmp_path / "log"
    done = guarded(log, "run", tmp_path / "holes.svs", tmp_path / "cut.svs", "--out", tmp_path / "out", "--workers", 1)
    assert done.returncode == 1
    assert places_of(SECRETS, tmp_path / "out") == []
    assert told(log) == []


def test_real_slides_with_labels(real_data, tmp_path):
    slides = [real_data / "slides" / "cmu-1-small-region.svs"]
    with openslide.OpenSlide(slides[0]) as slide:
        words = [str(slide.properties[f"aperio.{key}"]) for key in ("ScanScope ID", "Date", "User")]
        assert slide.associated_images
    done = guarded(tmp_path / "log", "run", *slides, "--out", tmp_path / "out", "--cluster", "serial")
    assert done.returncode == 0, done.stderr
    assert told(tmp_path / "log") == []
    assert places_of(words, tmp_path / "out") == []


def test_no_package_phones_home_when_it_is_loaded(tmp_path):
    modules = (
        "torch zarr distributed dask openslide tiffslide tifffile imagecodecs pyarrow.parquet shapely cv2 fsspec rich"
    )
    code = f"import {', '.join(modules.split())}, pathopipe.batch.run, pathopipe.models.predictor, pathopipe.cli.app"
    environ = environment() | {"PYTHONPATH": str(GUARD), "PATHOPIPE_GUARD_LOG": str(tmp_path / "log")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environ, timeout=300)
    assert told(tmp_path / "log") == []


def test_the_guard_itself_notices(tmp_path):
    code = (
        "import socket, urllib.request\n"
        "for call in (lambda: socket.create_connection(('192.0.2.1', 80), 1), lambda: urllib.request.urlopen('http://x.invalid')):\n"
        "    try:\n        call()\n    except OSError:\n        pass\n"
    )
    environ = environment() | {"PYTHONPATH": str(GUARD), "PATHOPIPE_GUARD_LOG": str(tmp_path / "log")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environ)
    assert told(tmp_path / "log") == ["connect ('192.0.2.1', 80)", "look up x.invalid"]
    assert os.environ.get("PYTHONPATH") != str(GUARD)
