"""Files with changed bytes, thousands of them: whatever the bytes, pathopipe reads them or says what is wrong.

    python benchmarks/fuzz.py [--slides 3000] [--texts 20000] [--seed 1] [--folder DIR]

Slides are drawn small, in seven kinds of TIFF, and tried in processes with 3 GB of memory and an alarm clock. Texts are
GeoJSON, manifests, settings and model files. Exits with 1 if anything but "read" or "refused" came out, and says which
seed and number repeat it.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from machine import machine

from pathopipe.annotations.objects import read_objects
from pathopipe.annotations.read import read_outlines
from pathopipe.annotations.validate import validate
from pathopipe.config import load_config
from pathopipe.errors import PathopipeError
from pathopipe.limits import LIMITS
from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_card
from pathopipe.models.shipped import nuclei
from pathopipe.slide.find import find_slides
from pathopipe.slide.header import check_header
from tests.support.fuzzed import changed, run, sound_slides

AT_ONCE = 250
"""Slides tried by one process: what it takes to start is shared."""
SLOW_S = 20.0
"""Seconds of processor time that no text of a few kilobytes may take."""


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--slides", type=int, default=3000)
    options.add_argument("--texts", type=int, default=20_000, help="Of each kind.")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--folder", type=Path, help="Where to work; temporary by default.")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        (folder / "slides").mkdir(parents=True, exist_ok=True)
        bad = fuzz_slides(folder / "slides", given.seed, given.slides)
        time_headers(folder / "slides")
        for name, (sound, suffix, read) in texts().items():
            bad += fuzz_texts(name, folder / f"fuzzed{suffix}", sound, read, given.seed, given.texts)
    print(machine())
    return int(bad > 0)


def fuzz_slides(folder: Path, seed: int, count: int) -> int:
    """Try changed slides; print what came of them and return how many did what none may."""
    kinds, bad, slowest = Counter[str](), 0, 0.0
    for block in range(-(-count // AT_ONCE)):
        for each in run(folder, 1000 * seed + block, min(AT_ONCE, count - block * AT_ONCE), limit_s=7200):
            kinds[each.kind] += 1
            slowest = max(slowest, each.seconds)
            if each.kind not in ("read", "refused"):
                bad += 1
                print(f"slides: seed {1000 * seed + block}, number {each.number}: {each.kind}: {each.told}")
    print(f"slides: {dict(kinds)}, the slowest {slowest:.1f} s")
    return bad


def time_headers(folder: Path) -> None:
    """Print what it costs to look at headers first, and what a process for each slide would cost instead."""
    took = []
    for path in sound_slides(folder):
        began = time.process_time()
        for _ in range(20):
            check_header(str(path), LIMITS)
        took.append((time.process_time() - began) / 20)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    code = "import sys; from pathopipe.slide.open import open_slide; open_slide(sys.argv[1]).close()"
    subprocess.run([sys.executable, "-c", code, str(sound_slides(folder)[0])], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    print(
        f"headers: {min(took) * 1e3:.2f} to {max(took) * 1e3:.2f} ms a slide; a process that opens one: {start:.1f} s"
    )


def texts() -> dict[str, tuple[list[bytes], str, Callable[[Path], object]]]:
    """Return for each kind of file sound ones, the suffix, and what reads them."""
    ring = [[0.5, 0.5], [9, 0.5], [9, 9], [0.5, 9], [0.5, 0.5]]
    cell = {
        "type": "Feature",
        "id": "6b1e3c9e-0b0b-5b0e-9e0c-2a6c3f1f8d11",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": {
            "objectType": "detection",
            "classification": {"name": "Tumor", "color": [200, 0, 0]},
            "measurements": {"Area µm^2": 5.25},
        },
    }
    several = cell | {"geometry": {"type": "MultiPolygon", "coordinates": [[ring], [ring]]}}
    collection = json.dumps({"type": "FeatureCollection", "features": [cell, several]}).encode()
    settings = Path(__file__).parents[1] / "configs" / "default.yaml"
    model = Path(nuclei()).read_bytes()[:9000]
    manifests = [b'slide,mpp,id\na.svs,0.25,x\n"b c.svs",,\n', b"slide;mpp\na;0,5\n"]
    return {
        "geojson": ([collection, json.dumps(cell).encode(), json.dumps([cell]).encode()], ".geojson", read_geojson),
        "manifest": (manifests, ".csv", lambda path: find_slides([path])),
        "settings": ([settings.read_bytes(), b"grid: {tile_px: 512}\nslide: {mpp: 0.5}\n"], ".yaml", load_config),
        "model": ([model], ".safetensors", lambda path: load_card(ModelSpec(name=str(path)))),
    }


def read_geojson(path: Path) -> None:
    """Read it as evaluation, validation and training do; raise what the last of them that refuses it says."""
    refused = []
    for read in (read_outlines, validate, lambda each: list(read_objects(each))):
        try:
            read(path)
        except PathopipeError as error:
            refused.append(error)
    if refused:
        raise refused[-1]


def fuzz_texts(name: str, path: Path, sound: list[bytes], read: Callable[[Path], object], seed: int, count: int) -> int:
    """Try changed texts; print what came of them and return how many did what none may."""
    kinds, bad, slowest = Counter[str](), 0, 0.0
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        path.write_bytes(changed(sound[number % len(sound)], rng))
        began, kind = time.process_time(), "read"
        try:
            read(path)
        except PathopipeError as error:
            kind = "refused" if str(error) else "empty message"
        except Exception as error:
            kind = f"{type(error).__name__}: {error}"
        took = time.process_time() - began
        kind = "too slow" if took > SLOW_S else kind
        slowest = max(slowest, took)
        kinds[kind] += 1
        if kind not in ("read", "refused"):
            bad += 1
            print(f"{name}: seed {seed}, number {number}: {kind}")
    print(f"{name}: {dict(kinds)}, the slowest {slowest:.2f} s")
    return bad


if __name__ == "__main__":
    sys.exit(main())
