"""What a benchmark ran on: a figure without it says nothing."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("pathopipe", "torch", "numpy", "zarr", "distributed", "tifffile", "imagecodecs", "openslide-python")


def machine() -> str:
    """Return processor, cores that may be used, memory and GPU in one line."""
    parts = [f"{_processor()}, {cores()} core{'s' * (cores() != 1)}"]
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        parts.append(f"{memory / 2**30:.0f} GB of memory")
    gpu = gpu_name()
    return ", ".join([*parts, *([gpu] if gpu else [])])


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def gpu_name() -> str:
    """Return the name of the GPU that torch would use, "" where there is none."""
    from pathopipe.models.device import visible_gpus

    if not visible_gpus("auto"):
        return ""
    import torch

    return str(torch.cuda.get_device_name())


def versions() -> str:
    """Return the versions of Python and of the packages that matter."""
    told = [f"Python {platform.python_version()}"]
    for package in PACKAGES:
        try:
            told.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(told)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
