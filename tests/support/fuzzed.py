"""Slides with changed bytes, opened and read in a process of their own with little memory and an alarm clock.

``python -m tests.support.fuzzed FOLDER SEED COUNT``: a line of JSON for each slide before it is tried, and one with
what came of it; so whoever reads the lines knows which slide ended the process.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[2]
MEMORY = 3 << 30
"""Bytes of address space on top of what the libraries take."""
SECONDS = 60
"""Processor seconds that a slide of a few hundred pixels may take; a few hundredths are usual."""
EXTREMES = (0, 1, 2, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


@dataclass(frozen=True)
class Outcome:
    """What came of one slide."""

    number: int
    kind: str
    """"read", "refused" with a message, or the name of an error that should not be."""
    told: str
    seconds: float


def changed(sound: bytes, rng: np.random.Generator) -> bytes:
    """Return ``sound`` with bytes changed as damage and malice change them."""
    data = bytearray(sound)
    for _ in range(int(rng.integers(1, 6))):
        # Headers stand at the start, and in what tifffile writes also near the end: these are worth most.
        where = rng.integers(0, 3)
        low, high = ((0, min(600, len(data))), (max(0, len(data) - 3000), len(data)), (0, len(data)))[where]
        place = int(rng.integers(low, max(high, low + 1)))
        what = rng.integers(0, 5)
        if what == 0:
            data[place : place + 1] = bytes([int(rng.integers(0, 256))])
        elif what == 1:
            width = int(rng.choice([2, 4, 8]))
            value = int(rng.choice(EXTREMES)) & (256**width - 1)
            data[place : place + width] = value.to_bytes(width, str(rng.choice(["little", "big"])))
        elif what == 2:
            data[place : place + 64] = bytes(min(64, len(data) - place))
        elif what == 3:
            other = int(rng.integers(0, max(1, len(data) - 64)))
            data[place : place + 64] = data[other : other + 64]
        elif rng.integers(0, 4) == 0:
            del data[place:]
    return bytes(data)


def sound_slides(folder: Path) -> list[Path]:
    """Draw small slides of several kinds, once."""
    from tests.support.drawn_slides import halved, noise, write_svs, write_tiff

    if not (folder / "lzw.tif").exists():
        full = noise(400, 300)
        levels = [full, halved(full, 4)]
        write_svs(folder / "aperio.svs", levels)
        write_svs(folder / "j2k.svs", levels, description="Aperio J2K|MPP = 0.25|AppMag = 40")
        write_tiff(folder / "jpeg.tif", levels, 0.5, compression="jpeg")
        write_tiff(folder / "deflate.tif", levels, 0.5)
        write_tiff(folder / "jpeg2000.tif", levels, 0.5, compression="jpeg2000")
        write_tiff(folder / "strips.tif", [full], 0.5, tile=None, rowsperstrip=64, compression=None)
        write_tiff(folder / "lzw.tif", levels, 0.5, compression="lzw")
    return sorted(path for path in folder.iterdir() if path.stem != "fuzzed" and path.is_file())


def run(folder: Path, seed: int, count: int, limit_s: float = 600) -> list[Outcome]:
    """Try ``count`` changed slides in a process of their own; a process that ends before is an outcome too."""
    command = [sys.executable, "-m", "tests.support.fuzzed", str(folder), str(seed), str(count)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False, timeout=limit_s)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    outcomes = [Outcome(**line) for line in lines if "kind" in line]
    if done.returncode:
        last = max((line["number"] for line in lines), default=-1)
        ended = signal.Signals(-done.returncode).name if done.returncode < 0 else f"exit {done.returncode}"
        outcomes.append(Outcome(last, ended, done.stderr[-600:], 0.0))
    return outcomes


def tried(path: Path) -> tuple[str, str]:
    """Open and read a slide as a run does; return the kind of outcome and what was told."""
    from pathopipe.errors import PathopipeError
    from pathopipe.geometry import Rect
    from pathopipe.slide.base import SlideSpec
    from pathopipe.slide.open import open_slide
    from pathopipe.tiling.spec import TissueSpec
    from pathopipe.tiling.tissue import find_tissue

    try:
        with open_slide(path, SlideSpec(mpp_if_missing=0.5)) as slide:
            slide.info.frame(0.5)
            slide.read(Rect(0, 0, 256, 256), 256, 256)
            slide.read(Rect(100, 50, 300, 250), 100, 100)
            find_tissue(slide, TissueSpec())
    except PathopipeError as error:
        return ("refused", str(error)) if str(error) else ("empty message", repr(error))
    except BaseException as error:
        return type(error).__name__, repr(error)
    return "read", ""


def _outcomes(folder: Path, seed: int, count: int) -> Iterator[Outcome]:
    sound = sound_slides(folder)
    tried(sound[0])  # all libraries are loaded now
    status = Path("/proc/self/statm").read_text(encoding="ascii").split()
    room = int(status[0]) * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    for number in range(count):
        rng = np.random.default_rng([seed, number])
        source = sound[int(rng.integers(0, len(sound)))]
        path = folder / f"fuzzed{source.suffix}"
        path.write_bytes(changed(source.read_bytes(), rng))
        _say({"number": number})
        signal.setitimer(signal.ITIMER_PROF, SECONDS)  # ends the process: also inside a C library
        began = time.process_time()
        kind, told = tried(path)
        signal.setitimer(signal.ITIMER_PROF, 0)
        yield Outcome(number, kind, told[:300], round(time.process_time() - began, 3))


def _say(values: dict[str, object]) -> None:
    sys.stdout.write(json.dumps(values) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    for outcome in _outcomes(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])):
        _say(vars(outcome))
