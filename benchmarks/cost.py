"""What the model costs on one CPU thread, in CPU seconds a working megapixel, beside the network as torch runs it.

    python benchmarks/cost.py [--model NAME|FILE] [--image FILE]

Without an image, on tissue that pathopipe draws. What the processor has no instructions for is not measured. What is
compared takes turns, and the least of several rounds counts: what else runs on the machine only adds.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from rows import Row, main, skipped
from turns import least

from pathopipe.engine.heap import keep_freed_memory
from pathopipe.evaluation import evaluate_labels
from pathopipe.evaluation.labels import painted
from pathopipe.geometry import Box
from pathopipe.models.base import ModelSpec
from pathopipe.models.inference import infer
from pathopipe.models.load import model_file
from pathopipe.models.net_file import load_net
from pathopipe.models.network import OUTPUT_STRIDE, StarNet, normalised
from pathopipe.models.postprocess import decode
from pathopipe.models.precision import takes_bf16, takes_int8
from pathopipe.models.predictor import StarPredictor
from pathopipe.models.stain import measure
from pathopipe.synth.region import draw_region
from pathopipe.synth.spec import SynthSpec

TILE, QUICK_TILE = 2048, 256
ROUNDS = 8
UNIT = "CPU s a MP"


def rows(given: argparse.Namespace) -> Iterator[Row]:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    side = QUICK_TILE if given.quick else TILE
    tile = np.ascontiguousarray(picture(given.image)[:side, :side])
    batch, megapixels = tile[np.newaxis], tile.shape[0] * tile.shape[1] / 1e6
    file = model_file(ModelSpec(name=given.model))
    plain = load_net(file).eval()
    runs = {name: StarPredictor(file, ModelSpec(name=given.model, device="cpu", **way)) for name, way in ways().items()}
    found = {name: run.predict(batch)[0] for name, run in runs.items()}
    exact, output = found["float32"], infer(runs["float32"]._net, batch, False)[0]
    longest = file.card.max_diameter_um / file.card.mpp
    timed: dict[str, Callable[[], object]] = {
        "plain": lambda: as_torch_runs_it(plain, tile),
        **{name: lambda run=run: infer(run._net, batch, run._bf16) for name, run in runs.items()},
        "outlines": lambda: decode(*output.maps[:2], output.distances, file.decode, OUTPUT_STRIDE, longest),
        "stains": lambda: measure(tile, exact),
    }
    rounds = 1 if given.quick else ROUNDS
    fastest = list(runs)[-1]
    given_back = least({fastest: timed[fastest]}, rounds, uncounted=1)[fastest] / megapixels
    kept = keep_freed_memory()
    seconds = {name: took / megapixels for name, took in least(timed, rounds, uncounted=1).items()}
    reference = f"the module as torch runs it: {seconds['plain']:.3f}"
    for name in runs:
        agreement = ""
        if name != "float32":
            same = evaluate_labels(*(painted(each.outlines, tile.shape[:2]) for each in (found[name], exact)))
            agreement = f"{same.true_positives} of {len(exact)} nuclei as in float32, {same.false_positives} others"
        yield Row(f"network, {name}", seconds[name], UNIT, reference, seconds[name] / seconds["plain"], note=agreement)
    for name in {"bfloat16", "int8"} - set(runs):
        yield skipped(f"network, {name}", "this processor has no instructions for it")
    what = f"network, {fastest}, freed memory given back to the system"
    if kept:
        yield Row(what, given_back, UNIT, f"kept, as workers do: {seconds[fastest]:.3f}", given_back / seconds[fastest])
    else:
        yield skipped(what, "this C library cannot keep it")
    nuclei = f"{len(exact) / megapixels:,.0f} nuclei a MP"
    yield Row("from maps to outlines", seconds["outlines"], UNIT, note=nuclei)
    yield Row("stains inside the outlines", seconds["stains"], UNIT, note=nuclei)


def ways() -> dict[str, dict[str, str]]:
    """Return the settings of each way that the network can run on this processor."""
    found = {"float32": {"int8": "off", "bf16": "off"}}
    if takes_bf16("auto", "cpu"):
        found["bfloat16"] = {"int8": "off", "bf16": "on"}
    if takes_int8("auto", "auto", "cpu"):
        found["int8"] = {"int8": "on", "bf16": "off"}
    return found


def as_torch_runs_it(net: StarNet, tile: np.ndarray) -> np.ndarray:
    """Return all that ``net`` says about ``tile``, as a loop over tiles would ask it."""
    with torch.no_grad():
        return net(normalised(torch.from_numpy(tile.transpose(2, 0, 1).copy())[None])).numpy()


def picture(path: Path | None) -> np.ndarray:
    """Return the image at ``path``, or drawn tissue at 0.5 µm per pixel."""
    if path is not None:
        return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    spec = SynthSpec(width=4 * TILE, height=4 * TILE, mpp=0.5, tissue_fraction=1.0)
    return draw_region(spec, Box(TILE, TILE, 2 * TILE, 2 * TILE)).rgb


def more_options(options: argparse.ArgumentParser) -> None:
    options.add_argument("--model", default="nuclei", help="A model's name or file.")
    options.add_argument("--image", type=Path, help="A picture at the model's resolution, its sides multiples of 8.")


if __name__ == "__main__":
    main(__doc__, rows, more_options)
