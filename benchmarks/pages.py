"""The parts of the documentation that benchmarks fill in, between two comments that name them."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path

from pathopipe.files import write_text

DOCS = Path(__file__).parents[1] / "docs"


def page_options(title: str) -> argparse.ArgumentParser:
    """Return the options of a benchmark of a model that fills a section in."""
    options = argparse.ArgumentParser(description=title)
    options.add_argument("--data", type=Path, default=os.environ.get("PATHOPIPE_TEST_DATA", "../shared/data"))
    options.add_argument("--model", default="nuclei")
    options.add_argument("--images", type=int, help="Take so many images of each set alone, for a quick look.")
    options.add_argument("--no-page", action="store_true", help="Print the section, and leave the documentation alone.")
    return options


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
    write_text(page, f"{parts[0]}{begin}\n{text.strip()}\n{end}{parts[3]}")


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *([cell.replace("|", r"\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
