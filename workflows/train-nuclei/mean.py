"""Write a model whose weights are the mean of those of several, all of one network.

    python mean.py OUT.safetensors MODEL.safetensors MODEL.safetensors [...]

The card and the thresholds are those of the first. Models that one training led to from another lie in one basin of the
loss, and the mean of their weights is often better than each (Wortsman et al. 2022, "Model soups").
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import load, save

from pathopipe.files import atomic_file

KEY = "pathopipe"


def main(out: Path, models: list[Path]) -> None:
    """Write ``out``."""
    contents = [path.read_bytes() for path in models]
    weights = [load(content) for content in contents]
    with safe_open(models[0], "pt") as first:
        about = json.loads(first.metadata()[KEY])
    if len(weights) < 2 or any(
        {name: value.shape for name, value in each.items()} != {name: value.shape for name, value in weights[0].items()}
        for each in weights
    ):
        raise SystemExit("mean.py: give two models or more, of the same network")
    about["training"] = {
        **(about.get("training") or {}),
        "mean_of": [
            {"file": path.name, "sha256": hashlib.sha256(content).hexdigest()}
            for path, content in zip(models, contents, strict=True)
        ],
    }
    mean = {name: sum(each[name] for each in weights) / len(weights) for name in sorted(weights[0])}
    with atomic_file(out) as file:
        file.write(save(mean, {KEY: json.dumps(about, sort_keys=True, ensure_ascii=False)}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(each) for each in sys.argv[2:]])
