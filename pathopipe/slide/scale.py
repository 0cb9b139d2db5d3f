"""The slide's resolution and where it was found; never a guess.

The sources are asked in this order: the user, the reader's own field, the TIFF resolution tag, the vendor's comment.
The nominal objective power is no source: "40×" is 0.23 to 0.28 µm/px depending on the scanner, an error of up to a
quarter in every area. It only makes the suggestion in the error's text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from pathopipe.slide.base import Scale

LOWEST_MPP = 0.05
"""µm per pixel. Below the diffraction limit by far: no brightfield scanner samples finer."""
HIGHEST_MPP = 20.0
"""µm per pixel. A nucleus is smaller than a pixel here; print resolutions such as 72 dpi (352.8) lie above."""
DIFFERENCE = 0.1
"""Sources that differ by more than this part are remarked."""

Kind = Literal["reader", "tiff tag", "comment"]

_MICRONS = {
    "nm": 1e-3, "nanometer": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0, "microns": 1.0, "micrometer": 1.0,
    "\\u00b5m": 1.0, "mm": 1e3, "millimeter": 1e3, "cm": 1e4, "centimeter": 1e4, "inch": 25400.0, "in": 25400.0,
    "m": 1e6, "meter": 1e6,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Candidate:
    """A resolution that a slide states, plausible or not."""

    x: float
    """µm per level-0 pixel in x."""
    y: float
    """The same in y."""
    source: str
    """Where it stands, such as "openslide.mpp-x"."""
    kind: Kind
    """How far it is trusted: a "tiff tag" of print resolution is a default of the writing program, not a statement."""

    def plausible(self) -> bool:
        """Return whether both values lie within what a microscope gives."""
        return all(LOWEST_MPP <= value <= HIGHEST_MPP for value in (self.x, self.y))

    def is_placeholder(self) -> bool:
        """Return whether it is a print resolution or nonsense that writers leave in the tag, so it states nothing."""
        return self.kind == "tiff tag" and min(self.x, self.y) > HIGHEST_MPP

    def __str__(self) -> str:
        value = f"{self.x:.4g}" if self.x == self.y else f"{self.x:.4g} × {self.y:.4g}"
        return f"{value} µm/px ({self.source})"


@dataclass(frozen=True, slots=True)
class ScaleFinding:
    """What came of looking for the resolution."""

    scale: Scale | None
    problem: str
    """Why ``scale`` is None, with the cure; empty otherwise."""
    remarks: tuple[str, ...]
    """Sentences for the user."""


def find_scale(
    candidates: Iterable[Candidate],
    given_mpp: float | None,
    objective: float | None,
    mpp_if_missing: float | None = None,
) -> ScaleFinding:
    """Choose the resolution among what the slide states and the user gives.

    Parameters
    ----------
    candidates : iterable of Candidate
        In the order of trust. The first that states something decides: if it is implausible the slide's scale is a
        problem for the user to solve, not a reason to believe a weaker source.
    given_mpp : float or None
        The user's µm per pixel, which outranks all of them.
    objective : float or None
        Nominal magnification, for the suggestion.
    mpp_if_missing : float or None
        The user's µm per pixel where the slide's own is missing or implausible.
    """
    stated = [candidate for candidate in candidates if math.isfinite(candidate.x) and math.isfinite(candidate.y)]
    if given_mpp is not None:
        return _given(given_mpp, stated)
    found = _own(stated, objective)
    if found.scale is None and mpp_if_missing is not None:
        return _given(mpp_if_missing, stated)
    return found


def _own(stated: list[Candidate], objective: float | None) -> ScaleFinding:
    """Return what the slide itself says."""
    telling = [candidate for candidate in stated if not candidate.is_placeholder()]
    if not telling:
        return ScaleFinding(None, _missing(stated, objective), ())
    first = telling[0]
    if not first.plausible():
        return ScaleFinding(None, _implausible(first, telling[1:], objective), ())
    remarks = [_differs(first, other) for other in telling[1:] if other.plausible() and _far(first, other)]
    if abs(first.x / first.y - 1) > 0.01:
        remarks.append(f"Pixels are not square: {first.x:.4g} µm wide and {first.y:.4g} µm high.")
    return ScaleFinding(Scale(first.x, first.y, first.source), "", tuple(remarks))


def _given(mpp: float, stated: list[Candidate]) -> ScaleFinding:
    given = Candidate(mpp, mpp, "given by the user", "reader")
    if not given.plausible():
        problem = f"the mpp of {mpp:g} given by the user is not a microscope's: it must be {_range()}"
        return ScaleFinding(None, problem, ())
    other = next((candidate for candidate in stated if candidate.plausible()), None)
    remarks = (_differs(given, other),) if other and _far(given, other) else ()
    return ScaleFinding(Scale(mpp, mpp, given.source), "", remarks)


def _range() -> str:
    return f"within {LOWEST_MPP:g}–{HIGHEST_MPP:g} µm/px"


def _missing(placeholders: list[Candidate], objective: float | None) -> str:
    ignored = (
        f" (the {placeholders[0].source} says {placeholders[0].x:.4g} µm/px, a print size)" if placeholders else ""
    )
    return f"the slide does not say its resolution (mpp){ignored}: {_cure(objective)}"


def _implausible(found: Candidate, others: list[Candidate], objective: float | None) -> str:
    also = next((f"; the slide also says {other}" for other in others if other.plausible()), "")
    return f"the slide says {found}, which is not {_range()}{also}: {_cure(objective)}"


def _cure(objective: float | None) -> str:
    if objective is None or objective <= 0:
        return "give it with --mpp, such as --mpp 0.25 for a 40× scan or 0.5 for 20×"
    usual = 10 / objective
    return f"give it with --mpp; for its {objective:g}× objective it is usually near --mpp {usual:.3g}"


def _far(one: Candidate, other: Candidate) -> bool:
    return max(abs(math.log(one.x / other.x)), abs(math.log(one.y / other.y))) > math.log(1 + DIFFERENCE)


def _differs(used: Candidate, other: Candidate) -> str:
    return f"Sources of the resolution differ: {used} is used, but the slide also says {other}."


def microns(unit: str | None) -> float | None:
    """Return how many µm one ``unit`` is, such as "millimeter"; None where the name is not known or not given."""
    return _MICRONS.get(str(unit or "").lower())


def from_tiff_tag(x: str | float | None, y: str | float | None, unit: str | None) -> list[Candidate]:
    """Return what a TIFF's resolution tags state: pixels per ``unit`` ("inch" or "centimeter")."""
    per_unit = microns(unit)
    across, down = number(x), number(y)
    if per_unit is None or not across or not down:
        return []
    return [Candidate(per_unit / across, per_unit / down, "TIFF resolution tag", "tiff tag")]


def from_comment(comment: str) -> list[Candidate]:
    """Return what a vendor's image description states: Aperio's "MPP = 0.25", OME-XML's PhysicalSizeX."""
    found = []
    if match := re.search(r"(?:^|\|)\s*MPP\s*=\s*([-+.\deE]+)", comment):
        mpp = number(match[1])
        found += [Candidate(mpp, mpp, "Aperio comment", "comment")] if mpp else []
    if "PhysicalSizeX" in comment:
        x, y = _physical_size(comment, "X"), _physical_size(comment, "Y")
        found += [Candidate(x, y or x, "OME-XML PhysicalSize", "comment")] if x else []
    return found


def _physical_size(xml: str, axis: str) -> float | None:
    # Only the first image's: OME-XML lists the slide before its label and macro.
    size = re.search(rf'\bPhysicalSize{axis}\s*=\s*"([^"]*)"', xml)
    unit = re.search(rf'\bPhysicalSize{axis}Unit\s*=\s*"([^"]*)"', xml)
    value = number(size[1]) if size else None
    micron = microns(unit[1] if unit else "µm")
    return value * micron if value and micron else None


def from_imagej(comment: str, x: str | float | None, y: str | float | None) -> list[Candidate]:
    """Return what ImageJ states: its description names the unit that its resolution tags count in."""
    match = re.search(r"^unit=(\S+)", comment, re.MULTILINE)
    across, down = number(x), number(y)
    if not comment.startswith("ImageJ=") or match is None or not across or not down:
        return []
    micron = microns(match[1])
    return [Candidate(micron / across, micron / down, "ImageJ metadata", "comment")] if micron else []


def from_properties(properties: Mapping[str, str], key_x: str, key_y: str, source: str) -> list[Candidate]:
    """Return what two fields of a reader state in µm per pixel."""
    x, y = number(properties.get(key_x)), number(properties.get(key_y))
    return [Candidate(x, y, source, "reader")] if x and y else []


def number(text: str | float | None) -> float | None:
    """Return ``text`` as a finite number, or None where it is none."""
    try:
        value = float(text) if text is not None else math.nan
    except (TypeError, ValueError):
        return None
    return value if math.isfinite(value) else None
