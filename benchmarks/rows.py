"""What a benchmark measures, as rows of one table: a figure, what it is compared with, and what it should be.

A benchmark is a script beside this one. Its function ``rows(given)`` yields its rows, and its last line is
``main(__doc__, rows)``: run alone it prints them, and ``python -m benchmarks`` puts those of all into
``docs/benchmarks.md``.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pages import table


@dataclass(frozen=True)
class Row:
    """One measurement."""

    what: str
    """Such as "JPEG slide, boxes of 1024 px, through Slide.read"."""
    value: float | None = None
    """None where it was not measured: ``note`` says why."""
    unit: str = ""
    """Such as "MP/s a core"."""
    reference: str = ""
    """What a user would otherwise pick, and its figure, such as "OpenSlide read_region: 62"."""
    ratio: float | None = None
    """The value against the reference, both measured in this run."""
    at_least: float | None = None
    """What the ratio should be at least, or the value where there is no ratio."""
    at_most: float | None = None
    note: str = ""
    """A few words: why it was not measured, or what stands against the target."""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None without a target or a figure."""
        figure = self.value if self.ratio is None else self.ratio
        if figure is None or (self.at_least is None and self.at_most is None):
            return None
        return (self.at_least is None or figure >= self.at_least) and (self.at_most is None or figure <= self.at_most)

    @property
    def target(self) -> str:
        """The target in words."""
        sign = "× " if self.ratio is not None else ""
        bounds = (("≥", self.at_least), ("≤", self.at_most))
        return ", ".join(f"{side} {bound:.3g}{sign}".strip() for side, bound in bounds if bound is not None)


Rows = Callable[[argparse.Namespace], Iterable[Row]]


def skipped(what: str, why: str) -> Row:
    """Return the row of what cannot be measured here."""
    return Row(what, note=f"not measured: {why}")


def figure(value: float | None) -> str:
    """Return ``value`` in three digits or more, "–" for none."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def as_table(rows: Iterable[Row]) -> str:
    """Return ``rows`` as a Markdown table."""
    lines = []
    for row in rows:
        ratio = "" if row.ratio is None else f"{figure(row.ratio)}×"
        met = {None: "", True: " ✓", False: " **missed**"}[row.met]
        value = f"{figure(row.value)} {row.unit}".strip()
        lines.append([row.what, value, row.reference, ratio, f"{row.target}{met}", row.note])
    return table(["measured", "result", "compared with", "ratio", "target", ""], lines)


def main(doc: str, rows: Rows, add: Callable[[argparse.ArgumentParser], None] | None = None) -> None:
    """Measure as the command line says, and print the rows as they come.

    Parameters
    ----------
    doc : str
        The benchmark's docstring; its first line is the title.
    rows : callable
        Takes the options: ``given.folder`` (a Path where to work; kept if the user named it, and slides drawn there
        are found again), ``given.quick`` (small data: does it run at all?), and those of ``add``.
    add : callable, optional
        Adds the benchmark's own options; all must have defaults.
    """
    options = argparse.ArgumentParser(description=doc.splitlines()[0])
    options.add_argument("--folder", type=Path, help="Where to work; a temporary folder by default.")
    options.add_argument("--quick", action="store_true", help="Small data, to see that it runs.")
    options.add_argument("--rows", type=Path, help="Write the rows to this file, as JSON.")
    if add is not None:
        add(options)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        given.folder = given.folder or Path(temporary)
        given.folder.mkdir(parents=True, exist_ok=True)
        found = []
        for row in rows(given):
            found.append(row)
            print(told(row), flush=True)
    if given.rows:
        given.rows.write_text(json.dumps([asdict(row) for row in found]), encoding="utf-8")
    sys.stdout.flush()


def told(row: Row) -> str:
    """Return ``row`` as a line of text."""
    parts = [f"{row.what}: {figure(row.value)} {row.unit}".rstrip()]
    if row.reference:
        parts.append(f"against {row.reference}")
    if row.ratio is not None:
        parts.append(f"{figure(row.ratio)}×")
    if row.target:
        parts.append(f"target {row.target}{'' if row.met is None else ' met' if row.met else ' MISSED'}")
    return ", ".join([*parts, *([row.note] if row.note else [])])


def read_rows(path: Path) -> list[Row]:
    """Return the rows that :func:`main` wrote."""
    return [Row(**each) for each in json.loads(path.read_text(encoding="utf-8"))]
