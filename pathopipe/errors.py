"""Every error that pathopipe raises on purpose, in one tree.

Each is also the builtin that a caller would expect, and its message says what happened, where, and what to do.
``batch/run.py`` catches :class:`PathopipeError` per slide; nothing else does.
"""

from __future__ import annotations

_LONGEST = 1000
"""Characters of a reason."""


class PathopipeError(Exception):
    """Root of all errors that pathopipe raises on purpose."""


def one_line(error: BaseException) -> str:
    """Return what to tell of ``error`` where there is a line for it: our own messages alone, others with their type."""
    told = str(error) if isinstance(error, PathopipeError) else f"{type(error).__name__}: {error}"
    return " ".join(told.split())[:_LONGEST]


class ConfigError(PathopipeError, ValueError):
    """A setting, option or configuration file is wrong; ends the command with exit code 2."""


class MissingDependencyError(PathopipeError, ImportError):
    """An optional package is needed for what was asked; the message names the extra to install."""


class LimitError(PathopipeError, ValueError):
    """A file asks for more memory or time than is taken from a file; the message names the setting that allows it."""


class SlideError(PathopipeError, OSError):
    """A slide cannot be opened or read."""


class UnreadableSlideError(SlideError):
    """No reader opens the file.

    Parameters
    ----------
    path : str
        The slide, as the user named it.
    reasons : dict of str to str
        Reader name to the reason that it gave.
    """

    def __init__(self, path: str, reasons: dict[str, str]) -> None:
        self.path = path
        self.reasons = dict(reasons)
        told = "; ".join(f"{reader}: {reason}" for reader, reason in reasons.items())
        super().__init__(f"no reader opens {path} ({told})")

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.path, self.reasons)


class MissingScaleError(SlideError, ValueError):
    """The slide's resolution (mpp) is missing or implausible: nothing is guessed, the user is asked."""


class UnsuitableSlideError(SlideError, ValueError):
    """The slide opens but is not what the model was made for, such as fluorescence for an H&E model."""


class StoreError(PathopipeError, OSError):
    """A file of the output folder is missing, foreign, or of another format version."""


class OutputDiskError(StoreError):
    """The disk of the output folder is full, read-only or broken: the run stops, since every slide would fail on it."""


class ModelError(PathopipeError, ValueError):
    """A model file is missing, damaged, or does not fit what was asked."""


class HaloTooSmallError(PathopipeError, ValueError):
    """An instance reaches the border of the tile that answers for it, so its outline is cut.

    Parameters
    ----------
    needed_px : int
        The halo in working pixels that would have been enough.
    halo_px : int
        The halo that was used.
    """

    def __init__(self, needed_px: int, halo_px: int) -> None:
        self.needed_px = needed_px
        self.halo_px = halo_px
        super().__init__(
            f"an instance is cut by the border of its tile: the halo of {halo_px} px is too small; "
            f"use --set grid.halo_px={needed_px}"
        )

    def __reduce__(self) -> tuple[object, ...]:
        return type(self), (self.needed_px, self.halo_px)


class ClusterError(PathopipeError, RuntimeError):
    """The Dask cluster cannot be reached, lacks workers, or lost a task for good."""


class OutputInUseError(PathopipeError, RuntimeError):
    """Another run is writing to the same output folder."""


class GeoJSONError(PathopipeError, ValueError):
    """A GeoJSON file is not what QuPath (or pathopipe) can read."""
