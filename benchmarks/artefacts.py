"""Is anything else counted as nuclei, and is clean tissue lost? Pens, folds, edges, pigment, red cells.

    python benchmarks/artefacts.py --data FOLDER [--eval] [--seeds 6 7 8 9]

Everything goes through ``pathopipe run``, with and without artefact detection, but for the thumbnails with pens, which
are too coarse for cells: there it is the part of the pen that is left in the tissue. Targets: at most 5 % of the area
of artefacts called nucleus, at most 1 % of clean tissue lost. ``--eval`` measures that on the evaluation images too.

Folds and red cells are drawn over tissue whose nuclei show through, and a model that finds those is right. So of drawn
defects both is told: of all their area, and of where the tissue beneath has no nucleus by the slide's truth.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import orjson
import tifffile
from accuracy import mpp_of
from artefact_tiles import CLEAN, COARSE, SLIDES, SPOILT

from pathopipe.annotations.read import read_outlines
from pathopipe.evaluation.labels import painted
from pathopipe.synth.truth import truth_path
from pathopipe.tiling.artefacts import find_artefacts
from pathopipe.tiling.spec import ArtefactSpec, TissueSpec
from pathopipe.tiling.stained import Stained

DRAWN = (3, 4, 5)
DRAWN_PX = 2500
WITH, WITHOUT = "with", "without"
Areas = defaultdict[str, defaultdict[str, float]]
"""Kind of defect to its area in pixels: of all of it, and of what was called nucleus with and without detection."""


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--data", type=Path, default=os.environ.get("PATHOPIPE_TEST_DATA", "../shared/data"))
    options.add_argument("--eval", action="store_true", help="measure the loss on the evaluation images too")
    options.add_argument("--seeds", type=int, nargs="+", help="draw these slides and measure on nothing else")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        drawn(work, chosen.seeds or DRAWN)
        if chosen.seeds:
            return
        if (chosen.data / "unlabelled").is_dir():
            thumbnails(chosen.data / "unlabelled" / "histoqc_artifacts")
            spoilt(work, chosen.data / "unlabelled")
            coarse(chosen.data / "unlabelled")
            clean(work, {chosen.data / "unlabelled" / name: mpp for name, mpp in CLEAN.items()}, "clean pictures")
            clean(work, {chosen.data / "slides" / name: mpp for name, mpp in SLIDES.items()}, "slides")
        else:
            print(f"skipped: no pictures at {chosen.data / 'unlabelled'} (set PATHOPIPE_TEST_DATA)")
        if chosen.eval:
            for name in ("miccai_seg15", "tcga_glioma36", "deepliif_ihc"):
                images = sorted((chosen.data / "eval" / name / "images").glob("*.png"))
                clean(work, {path: mpp_of(path) for path in images}, name, each=False)


def drawn(work: Path, seeds: Sequence[int]) -> None:
    """Draw slides with defects and tell how much of each kind was called nucleus, and what nuclei were lost beside."""
    slides = work / "drawn"
    slides.mkdir()
    size = ("--size", str(DRAWN_PX), str(DRAWN_PX), "--mpp", "0.5", "--tissue", "0.9", "--defects")
    for seed in seeds:
        pathopipe("synth", *size, "--seed", seed, "--out", slides / f"drawn{seed}.tif", "-q")
    out = both(slides, work / "drawn-out")
    whole: Areas = defaultdict(lambda: defaultdict(float))
    bare: Areas = defaultdict(lambda: defaultdict(float))
    lost = []
    for slide in sorted(slides.glob("*.tif")):
        kinds = defects(slide)
        any_defect = np.logical_or.reduce(list(kinds.values()))
        beyond = ~cv2.dilate(any_defect.astype(np.uint8), np.ones((121, 121), np.uint8)).astype(bool)
        cells = {way: labels(folder / slide.stem, any_defect.shape) for way, folder in out.items()}
        no_nucleus = painted(read_outlines(truth_path(slide)).outlines, any_defect.shape) == 0
        for kind, mask in kinds.items():
            for areas, part in ((whole, mask), (bare, mask & no_nucleus)):
                areas[kind]["all"] += part.sum()
                for way in out:
                    areas[kind][way] += (part & (cells[way] > 0)).sum()
        kept = {way: len(np.unique(found[beyond])) for way, found in cells.items()}
        lost.append(1 - kept[WITH] / kept[WITHOUT])
    for areas, of_what in ((whole, "their area"), (bare, "their area in which the tissue has no nucleus")):
        print(f"drawn defects: part of {of_what} called nucleus")
        for kind, area in areas.items():
            told(kind, *(area[way] / area["all"] for way in (WITHOUT, WITH)))
        sums = {key: sum(area[key] for area in areas.values()) for key in ("all", WITHOUT, WITH)}
        told("all", *(sums[way] / sums["all"] for way in (WITHOUT, WITH)))
    print(f"  cells more than 30 µm away lost: {', '.join(f'{part:.2%}' for part in lost)}\n", flush=True)


def thumbnails(folder: Path) -> None:
    """Tell how much of the pens in whole slides' thumbnails is left in the tissue."""
    print("thumbnails, taken as 8 µm per pixel: part of the pen in the tissue; part of the rest masked")
    for name in ("pen_black", "pen_green", "pen_red"):
        rgb = read(folder / f"{name}.png")
        pen = cv2.imread(str(folder / f"{name}_mask.png"), cv2.IMREAD_GRAYSCALE) > 127
        stained = Stained.of(rgb, TissueSpec())
        before = stained.pieces(8.0, TissueSpec())
        found = find_artefacts(stained, before, 8.0, ArtefactSpec()).all
        after = before & ~found & stained.pieces(8.0, TissueSpec(), found)
        rest = before & ~pen
        told(name, (before & pen).sum() / pen.sum(), (after & pen).sum() / pen.sum())
        print(f"  {'':44} {(rest & found).sum() / max(1, rest.sum()):8.2%} of the rest masked", flush=True)
    print()


def coarse(data: Path) -> None:
    """Tell how much is masked of clean pictures that are too coarse for cells."""
    print("coarse clean pictures: tissue lost")
    for name, mpp in COARSE.items():
        rgb = read(data / name)
        scale = mpp / 8.0
        rgb = cv2.resize(rgb, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else rgb
        stained = Stained.of(rgb, TissueSpec())
        tissue = stained.pieces(8.0, TissueSpec())
        masks = find_artefacts(stained, tissue, 8.0, ArtefactSpec()).masks
        told = ", ".join(f"{kind} {mask.sum() / tissue.sum():.2%}" for kind, mask in masks.items())
        print(f"  {Path(name).stem:44} {told}", flush=True)
    print()


def spoilt(work: Path, data: Path) -> None:
    """Tell how much of the artefacts outlined by hand was called nucleus."""
    slides = as_slides({data / name: mpp for name, (mpp, _) in SPOILT.items()}, work / "spoilt")
    out = both(slides, work / "spoilt-out")
    print("pictures with ink, folds, edges: part of their area called nucleus")
    total: dict[str, float] = defaultdict(float)
    for name, (_, kinds) in SPOILT.items():
        height, width = read(data / name).shape[:2]
        for kind, rings in kinds.items():
            mask = np.zeros((height, width), np.uint8)
            cv2.fillPoly(mask, [np.array(ring) for ring in rings], 1)
            inside = {way: ((labels(f / Path(name).stem, mask.shape) > 0) & (mask > 0)).sum() for way, f in out.items()}
            told(f"{Path(name).stem} {kind}", *(inside[way] / mask.sum() for way in (WITHOUT, WITH)))
            total["all"] += mask.sum()
            for way in out:
                total[way] += inside[way]
    told("all", *(total[way] / total["all"] for way in (WITHOUT, WITH)))
    print(flush=True)


def clean(work: Path, pictures: dict[Path, float], name: str, each: bool = True) -> None:
    """Tell how much of the tissue and of the cells of clean pictures was lost."""
    out = both(as_slides(pictures, work / name), work / f"{name}-out")
    print(f"{name}: tissue lost, cells lost")
    sums: dict[tuple[str, str], float] = defaultdict(float)
    for path in pictures:
        records = {way: orjson.loads((folder / path.stem / "slide.json").read_bytes()) for way, folder in out.items()}
        for key in ("tissue_mm2", "cells"):
            for way, record in records.items():
                sums[key, way] += record[key]
        if each:
            tissue, cells = (lost(records[WITHOUT][key], records[WITH][key]) for key in ("tissue_mm2", "cells"))
            why = {**records[WITH]["artefact_mm2"], **records[WITH]["cells_not_nuclei"]}
            print(f"  {path.stem:44} {tissue:8.2%} {cells:8.2%}  {why or ''}")
    tissue, cells = (lost(sums[key, WITHOUT], sums[key, WITH]) for key in ("tissue_mm2", "cells"))
    print(f"  {'all':44} {tissue:8.2%} {cells:8.2%}\n", flush=True)


def lost(before: float, after: float) -> float:
    """Return the part of ``before`` that is not there ``after``."""
    return 1 - after / before if before else 0.0


def told(name: str, before: float, after: float) -> None:
    print(f"  {name:44} {before:8.2%} without, {after:8.2%} with detection", flush=True)


def both(slides: Path, out: Path) -> dict[str, Path]:
    """Analyse ``slides`` with and without artefact detection; return the output folders."""
    pathopipe("run", slides, "--out", out / WITHOUT, "--set", "artefacts.enabled=false", "-q")
    # The network does not run again: the settings of artefacts change layers and scores alone.
    shutil.copytree(out / WITHOUT, out / WITH)
    pathopipe("run", slides, "--out", out / WITH, "-q")
    return {WITHOUT: out / WITHOUT, WITH: out / WITH}


def pathopipe(*arguments: object) -> None:
    """Run the command line in a process of its own; small slides are done before more processes have started."""
    command = [sys.executable, "-m", "pathopipe", *map(str, arguments)]
    if arguments[0] == "run":
        command += ["--cluster", "serial"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def as_slides(pictures: dict[Path, float], folder: Path) -> Path:
    """Write the pictures as slides of their resolution into ``folder``, and a manifest of them and of real slides."""
    folder.mkdir()
    lines = ["slide,id,mpp"]
    for path, mpp in pictures.items():
        if path.suffix == ".svs":
            lines.append(f"{path.resolve()},{path.stem},{mpp}")
            continue
        lines.append(f"{(folder / path.stem).resolve()}.tif,{path.stem},{mpp}")
        per_cm = 1e4 / mpp
        options = {"tile": (256, 256), "photometric": "rgb", "resolutionunit": "CENTIMETER"}
        tifffile.imwrite(folder / f"{path.stem}.tif", read(path), resolution=(per_cm, per_cm), **options)
    manifest = folder / "slides.csv"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


def read(path: Path) -> np.ndarray:
    """Return a picture as RGB, transparent parts white."""
    found = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if found.shape[2] == 4:
        part = found[..., 3:] / 255
        found = np.round(found[..., :3] * part + 255 * (1 - part)).astype(np.uint8)
    return cv2.cvtColor(found, cv2.COLOR_BGR2RGB)


def labels(folder: Path, shape: tuple[int, int]) -> np.ndarray:
    """Return the cells of a slide, painted."""
    return painted(read_outlines(folder / "cells.geojson.zip").outlines, shape)


def defects(slide: Path) -> dict[str, np.ndarray]:
    """Return kind to mask of what was drawn over a slide."""
    with zipfile.ZipFile(slide.with_name(f"{slide.stem}.truth.geojson.zip")) as archive:
        features = orjson.loads(archive.read("defects.geojson"))["features"]
    masks: dict[str, np.ndarray] = {}
    for feature in features:
        mask = masks.setdefault(feature["properties"]["name"], np.zeros((DRAWN_PX, DRAWN_PX), np.uint8))
        geometry = feature["geometry"]
        parts = [geometry["coordinates"]] if geometry["type"] == "Polygon" else geometry["coordinates"]
        for rings in parts:
            cv2.fillPoly(mask, [np.round(np.array(ring)).astype(np.int32) for ring in rings], 1)
    return {kind: mask > 0 for kind, mask in masks.items()}


if __name__ == "__main__":
    main()
