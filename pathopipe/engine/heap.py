"""What a worker does with memory that it has freed: it keeps it for the next tile.

The maps of a tile take tens of megabytes each. glibc asks the system for every such block anew and gives it back when
it is freed, and the system fills each page with zeros as it is first touched: a fifth of the processor time of the
network in 8-bit integers went there (``python benchmarks/cost.py``).
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache

# From <malloc.h>: https://man7.org/linux/man-pages/man3/mallopt.3.html
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_NEVER = 2**31 - 1


@cache
def keep_freed_memory() -> bool:
    """Have this process keep freed memory rather than give it back; return whether its C library can.

    Only the GNU C library is asked. The process stays as large as it ever was; a worker meets tiles of one size, so
    that its peak hardly changes.
    """
    if sys.platform != "linux":
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):  # musl has a mallopt that does nothing
        return False
    # One arena: the small heaps of further threads are given back whatever the thresholds say. Threads that there are
    # keep theirs, so local workers start with this (engine/starting.py).
    wanted = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, _NEVER), (_ARENA_MAX, 1))
    return all(library.mallopt(option, value) == 1 for option, value in wanted)
