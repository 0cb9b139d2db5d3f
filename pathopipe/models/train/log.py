"""``<out>.losses.jsonl``: how a training went, a line a mean of losses or a validation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pathopipe.files import write_text


def log_path(out: Path) -> Path:
    """Return where the log of the model file ``out`` is."""
    return out.with_name(f"{out.name}.losses.jsonl")


class Log:
    """Lines {"step", "loss"} and {"step", "f1", "pq", "aji"}, in the order of the steps."""

    def __init__(self, path: Path, step: int) -> None:
        """Go on with ``path`` after ``step``, 0 for anew: what a sitting that was cut off wrote beyond it goes."""
        self.path = path
        kept = [line for line in read_log(path) if line["step"] <= step] if step else []
        write_text(path, "".join(_line(values) for values in kept))

    def add(self, **values: float | None) -> None:
        """Append a line."""
        rounded = {name: value if value is None else round(value, 5) for name, value in values.items()}
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(_line(rounded))


def read_log(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a log in order; a last line that was cut off is left out, and all where there is no file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _line(values: dict[str, Any]) -> str:
    return json.dumps(values) + "\n"
