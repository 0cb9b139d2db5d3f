"""What a slide is to the rest of pathopipe: facts (:class:`SlideInfo`) and pixels (:class:`Slide`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray

from pathopipe.errors import MissingScaleError
from pathopipe.geometry import Box, Frame, Rect
from pathopipe.spec import Spec


class SlideSpec(Spec):
    """How slides are opened."""

    reader: str = "auto"
    """Name of the reader, or "auto": the first that opens the file."""
    mpp: float | None = None
    """µm per level-0 pixel given by the user; outranks what the file says."""
    mpp_if_missing: float | None = None
    """The same for slides that do not say their own, or none that can be true."""


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of the pyramid."""

    width: int
    height: int
    downsample_x: float
    """Level-0 pixels per pixel of this level in x."""
    downsample_y: float
    """The same in y."""


@dataclass(frozen=True, slots=True)
class Scale:
    """The slide's resolution and where it was found."""

    x: float
    """µm per level-0 pixel in x."""
    y: float
    """µm per level-0 pixel in y."""
    source: str
    """Where it comes from, such as "openslide.mpp-x", "TIFF resolution tag" or "given by the user"."""


@dataclass(frozen=True)
class SlideInfo:
    """Facts about a slide, read without decoding its pixels. Picklable."""

    path: str
    """Path or URL as given."""
    reader: str
    """Name of the reader that opened it."""
    width: int
    """Width of level 0 in pixels."""
    height: int
    """Height of level 0 in pixels."""
    levels: tuple[Level, ...]
    """Finest first."""
    scale_found: Scale | None
    """The resolution, or None where it is missing or implausible; :attr:`scale` raises then."""
    scale_problem: str
    """Why ``scale_found`` is None; empty otherwise."""
    objective: float | None
    """Nominal magnification, such as 40.0."""
    vendor: str
    """Vendor as the reader names it, such as "aperio"; "unknown" where it does not say."""
    bounds: Box | None
    """Non-empty region in level-0 pixels (openslide.bounds-*); QuPath crops to it. None for the whole slide."""
    identity: str
    """Digest of the file's size and of parts of its content, stable across renames and copies; never a full read."""
    unusual: tuple[str, ...]
    """Remarks for the user, one sentence each."""
    decoding: str = ""
    """How its pixels are decoded, in words."""

    @property
    def scale(self) -> Scale:
        """The resolution.

        Raises
        ------
        MissingScaleError
            If it is missing or implausible; the message names the cure.
        """
        if self.scale_found is None:
            raise MissingScaleError(self.scale_problem)
        return self.scale_found

    def frame(self, mpp: float) -> Frame:
        """Return the frame of this slide at ``mpp`` µm per pixel.

        Raises
        ------
        MissingScaleError
            If the slide's own resolution is not known.
        """
        return Frame.at(mpp, self.width, self.height, self.scale.x, self.scale.y)


class Slide(Protocol):
    """An open slide.

    Threads: ``read`` may be called from several threads of one process. Pickling: a slide is never pickled; a worker
    opens its own from (path, SlideSpec). Use it as a context manager or call :meth:`close`.
    """

    @property
    def info(self) -> SlideInfo:
        """Facts about the slide."""
        ...

    def read(self, rect: Rect, width: int, height: int) -> NDArray[np.uint8]:
        """Return the level-0 rectangle ``rect`` as RGB uint8 (height, width, 3).

        Pixels are resampled by area from the coarsest level that is at least as fine as asked for, and their
        positions are exact to less than one level-0 pixel. What is transparent or outside the slide is white.

        Raises
        ------
        SlideError
            If the pixels cannot be decoded. The next call works on a fresh handle.
        """
        ...

    def close(self) -> None:
        """Release the file. Reading afterwards is an error."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


class Reader(Protocol):
    """What the entry points of the group ``pathopipe.readers`` name."""

    name: str

    def open(self, path: str, spec: SlideSpec) -> Slide:
        """Open the slide at ``path`` (a path or URL).

        Raises
        ------
        SlideError
            If this reader cannot open it; the message is the reason shown to the user.
        """
        ...
