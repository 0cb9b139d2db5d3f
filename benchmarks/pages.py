"""The parts of the documentation that benchmarks fill in, between two comments that name them."""

from __future__ import annotations

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def fill_section(page: Path, name: str, text: str) -> None:
    """Replace what stands between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->`` in ``page``.

    Raises
    ------
    ValueError
        If ``page`` does not have that section exactly once.
    """
    begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
    before = page.read_text(encoding="utf-8")
    parts = re.split(f"({re.escape(begin)}).*?({re.escape(end)})", before, flags=re.DOTALL)
    if len(parts) != 4:
        raise ValueError(f"{page} must have the lines {begin} and {end} once each")
    temporary = page.with_name(f"{page.name}.tmp")
    temporary.write_text(f"{parts[0]}{begin}\n{text.strip()}\n{end}{parts[3]}", encoding="utf-8")
    temporary.replace(page)


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
