"""Does a run that was killed end as if it had not been, and how much does it do twice?

    python benchmarks/kill.py --size 20000 [--kills 3]

Draws a slide and analyses it undisturbed. Then the same command is killed with SIGKILL, all its processes at once,
after equal parts of the tiles, and given again each time; at last it is left alone. The outputs are compared byte by
byte.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from seams import RESULTS, pathopipe


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--size", type=int, default=20_000, help="side of the drawn slide in level-0 pixels")
    options.add_argument("--kills", type=int, default=3)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        slide = folder / "drawn.svs"
        pathopipe("synth", "--size", chosen.size, chosen.size, "--out", slide, "-q")
        pathopipe("run", slide, "--out", folder / "undisturbed", "--workers", 2, "-q")
        tiles = len(list((folder / "undisturbed" / "drawn" / "instances").glob("*.npz")))
        out = folder / "killed"
        kept: dict[str, int] = {}
        for kill in range(chosen.kills):
            kept = killed(slide, out, kept, (kill + 1) * tiles // (chosen.kills + 1))
            print(f"killed when {len(kept)} of {tiles} tiles were done", flush=True)
        pathopipe("run", slide, "--out", out, "--workers", 2, "-q")
        redone = sum(made != kept[name] for name, made in done(out).items() if name in kept)
        same = all(
            (out / "drawn" / name).read_bytes() == (folder / "undisturbed" / "drawn" / name).read_bytes()
            for name in RESULTS
        )
        left = len(list(out.rglob("*.tmp")))
        print(f"finished: {redone} finished tiles done again, {left} temporary files left")
        print("the same bytes as undisturbed" if same else "OTHER BYTES than undisturbed")
        sys.exit(not same)


def killed(slide: Path, out: Path, kept: dict[str, int], tiles: int) -> dict[str, int]:
    """Run until ``tiles`` are done, kill, and return them; tell which of ``kept`` were done again."""
    command = [sys.executable, "-m", "pathopipe", "run", slide, "--out", out, "--workers", "2", "-q"]
    with subprocess.Popen(command, start_new_session=True, env={**os.environ, "OMP_NUM_THREADS": "1"}) as run:
        while len(done(out)) < tiles:
            if run.poll() is not None:
                sys.exit("the run ended before it could be killed")
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGKILL)
    now = done(out)
    again = [name for name, made in kept.items() if now.get(name) != made]
    if again:
        print(f"{len(again)} finished tiles were done again: {', '.join(again[:5])}")
    return now


def done(out: Path) -> dict[str, int]:
    """Return the finished tiles' files and when they were written."""
    return {path.name: path.stat().st_mtime_ns for path in (out / "drawn" / "instances").glob("*.npz")}


if __name__ == "__main__":
    main()
