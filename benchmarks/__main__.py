"""``make bench``: every benchmark that can run here, each in a process of its own.

    python -m benchmarks [NAME …] [--folder DIR] [--quick] [--no-page]

The figures of speed and memory go into ``docs/benchmarks.md``, each section with the machine that it was measured on. A
benchmark that cannot run here does not stop the others; named on the command line, it is an error.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # benchmarks find each other by name, as when one is run alone

from machine import machine, versions  # noqa: E402
from pages import DOCS, fill_section  # noqa: E402
from rows import as_table, read_rows  # noqa: E402

PAGE = DOCS / "benchmarks.md"
SPEED = ("decode", "store", "cost", "finish", "end_to_end", "memory", "estimates", "peers", "gpu", "large_slide")
"""Scripts that give rows (see rows.py), and sections of the page."""
DATA = Path(os.environ.get("PATHOPIPE_TEST_DATA", HERE.parents[1] / "shared" / "data"))
RESULTS: dict[str, tuple[str | Path, ...]] = {
    "cropping": ("--side", "8192"),
    "seams": ("--size", "8000"),
    "kill": ("--size", "8000"),
    "soak": ("--kills", "20"),
    "accuracy": ("--data", DATA),
    "accuracy_run": ("--data", DATA),
    "robustness": ("--data", DATA, "--images", "2", "--no-page"),
    "calibration": ("--data", DATA, "--images", "2", "--no-page"),
    "artefacts": ("--data", DATA),
}
"""Scripts that look at what comes out and not at how fast, and their options here."""


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m benchmarks", description="Run the benchmarks.")
    options.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join((*SPEED, *RESULTS))}; all by default")
    options.add_argument("--folder", type=Path, help="Where to work and keep what was drawn; temporary by default.")
    options.add_argument("--quick", action="store_true", help="Small data: do they run? Leaves the page alone.")
    options.add_argument("--no-page", action="store_true", help="Leave the documentation alone.")
    given = options.parse_args()
    unknown = set(given.names) - {*SPEED, *RESULTS}
    if unknown:
        options.error(f"no benchmark is called {', '.join(sorted(unknown))}")
    chosen = given.names or [*SPEED, *RESULTS]
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        failed = [name for name in SPEED if name in chosen and not measure(name, folder, given)]
    failed += [name for name in RESULTS if name in chosen and not look(name)]
    print(f"== done: {', '.join(name for name in chosen if name not in failed) or 'none'}")
    if failed:
        print(f"could not run to their end, their tables are as they were: {', '.join(failed)}", file=sys.stderr)
    # Of all benchmarks some cannot run somewhere, and the others count all the same; who names one wants that one.
    return int(bool(failed and given.names))


def measure(name: str, folder: Path, given: argparse.Namespace) -> bool:
    """Run a benchmark of :data:`SPEED` and fill its section in; return whether it ran to its end."""
    print(f"== {name}", flush=True)
    rows = folder / f"{name}.rows.json"
    command = [sys.executable, HERE / f"{name}.py", "--folder", folder, "--rows", rows]
    if subprocess.run([*command, *(["--quick"] if given.quick else [])], check=False).returncode:
        return False
    if not (given.quick or given.no_page):
        fill_section(PAGE, name, f"{as_table(read_rows(rows))}\n\nMeasured on {machine()}, with {versions()}.")
    return True


def look(name: str) -> bool:
    """Run a benchmark of :data:`RESULTS`; return whether it ran to its end, or had nothing to run on."""
    print(f"== {name}", flush=True)
    if DATA in RESULTS[name] and not (DATA / "eval").is_dir():
        print(f"skipped: no evaluation images at {DATA / 'eval'} (set PATHOPIPE_TEST_DATA)")
        return True
    return subprocess.run([sys.executable, HERE / f"{name}.py", *RESULTS[name]], check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
