"""Keeping freed memory: what a worker maps for one tile is there for the next."""

import subprocess
import sys

from tests.support.processes import needs_glibc

_FAULTS = """
import resource, numpy as np
from pathopipe.engine.heap import keep_freed_memory
if {keep}:
    assert keep_freed_memory()
np.ones(40_000_000, np.uint8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    np.ones(40_000_000, np.uint8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(keep: bool) -> int:
    """Return how often the system had to give a process pages for blocks that it had freed before."""
    ran = subprocess.run([sys.executable, "-c", _FAULTS.format(keep=keep)], capture_output=True, text=True, check=True)
    return int(ran.stdout)


@needs_glibc
def test_blocks_of_the_size_of_a_tile_are_taken_anew_only_without_it() -> None:
    assert faults(keep=True) < faults(keep=False) / 10
