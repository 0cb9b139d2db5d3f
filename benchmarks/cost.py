"""What the model costs on one CPU thread: the network and its post-processing, in CPU seconds a working megapixel.

    python benchmarks/cost.py [--model NAME|FILE] [--image FILE]

Without an image, on tissue that pathopipe draws. bfloat16 is measured where the processor has it. The least of several
rounds counts: what else runs on the machine only adds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch

from pathopipe.geometry import Box
from pathopipe.models.card import read_model_file
from pathopipe.models.inference import infer
from pathopipe.models.net_file import load_net
from pathopipe.models.network import OUTPUT_STRIDE, folded
from pathopipe.models.postprocess import decode
from pathopipe.models.precision import takes_bf16
from pathopipe.models.shipped import nuclei
from pathopipe.synth.region import draw_region
from pathopipe.synth.spec import SynthSpec

TILE = 1024
ROUNDS = 8


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--model", type=Path, default=nuclei())
    options.add_argument("--image", type=Path, help="A picture at the model's resolution, at least 1024 × 1024.")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    file = read_model_file(chosen.model)
    net = folded(load_net(file)).to(memory_format=torch.channels_last)
    tile = np.ascontiguousarray(picture(chosen.image)[:TILE, :TILE])[np.newaxis]
    megapixels = tile.shape[1] * tile.shape[2] / 1e6
    output = infer(net, tile, False)[0]
    longest = file.card.max_diameter_um / file.card.mpp
    cells = len(decode(*output.maps[:2], output.distances, file.decode, OUTPUT_STRIDE, longest).score)
    print(f"{cells} nuclei in {megapixels:.2f} megapixels")
    ways: dict[str, Callable[[], object]] = {"network, float32": lambda: infer(net, tile, False)}
    if takes_bf16("auto", torch.device("cpu")):
        ways["network, bfloat16"] = lambda: infer(net, tile, True)
    ways["post-processing"] = lambda: decode(*output.maps[:2], output.distances, file.decode, OUTPUT_STRIDE, longest)
    for name, way in ways.items():
        print(f"{name:18} {least(way) / megapixels:.3f} CPU s a megapixel")


def picture(path: Path | None) -> np.ndarray:
    """Return the image at ``path``, or drawn tissue at 0.5 µm per pixel."""
    if path is not None:
        return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)
    spec = SynthSpec(width=4 * TILE, height=4 * TILE, mpp=0.5, tissue_fraction=1.0)
    return draw_region(spec, Box(TILE, TILE, 2 * TILE, 2 * TILE)).rgb


def least(way: Callable[[], object]) -> float:
    """Return the least CPU seconds of several rounds."""
    seconds = []
    for _ in range(ROUNDS + 1):
        began = time.process_time()
        way()
        seconds.append(time.process_time() - began)
    return min(seconds[1:])


if __name__ == "__main__":
    main()
