"""Whether QuPath would import a GeoJSON file, whole and as meant."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pathopipe.annotations.check import check_feature, is_uuid, kind_of
from pathopipe.annotations.features import MAX_BYTES, features, texts
from pathopipe.annotations.read import class_name
from pathopipe.annotations.rules import MANY_ANNOTATIONS, MANY_OBJECTS, RULES, Severity
from pathopipe.annotations.shapes import ShapeCheck
from pathopipe.errors import GeoJSONError

_ORDER: tuple[Severity, ...] = ("refused", "lost", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule that a file breaks."""

    rule: str
    """Its name in :data:`~pathopipe.annotations.rules.RULES`."""
    severity: Severity
    what: str
    """What is wrong, and what QuPath makes of it."""
    cure: str
    """What to write instead."""
    count: int
    """How often."""
    first: str
    """Where it is first, such as "part-0001.geojson, feature 3"; features are counted from 1."""


@dataclass(frozen=True)
class ValidationResult:
    """What QuPath would make of a file."""

    path: Path
    features: int
    by_kind: dict[str, int]
    """Features by the kind of object that QuPath makes of them, most first."""
    by_class: dict[str, int]
    """Features by class, most first; "" has none."""
    findings: tuple[Finding, ...]
    """The worst first."""

    @property
    def ok(self) -> bool:
        """Whether all of it is imported, as meant."""
        return all(finding.severity == "note" for finding in self.findings)

    def as_text(self) -> str:
        """Return the result for people."""
        severities = {finding.severity for finding in self.findings}
        whole = "skips the parts with these faults" if self.path.suffix.lower() == ".zip" else "refuses the file"
        verdict = f"QuPath {whole}" if "refused" in severities else "QuPath loses or changes a part of it"
        if self.ok:
            verdict = "QuPath imports it whole"
        kinds = ", ".join(f"{count:,} {kind}" for kind, count in self.by_kind.items())
        classes = ", ".join(f"{name or 'no class'} {count:,}" for name, count in self.by_class.items())
        lines = [f"{self.path}: {verdict}; {self.features:,} objects" + (f" ({kinds}; {classes})" if kinds else "")]
        lines += [
            f"  {each.severity}: {each.what} ({each.count:,}×, first: {each.first}); {each.cure}"
            for each in self.findings
        ]
        return "\n".join(lines)


def validate(path: Path, max_bytes: int = MAX_BYTES) -> ValidationResult:
    """Check a .geojson, .json, .gz or .zip file of any tool against what QuPath reads.

    A text is in memory whole, but its features only one at a time.

    Parameters
    ----------
    path : Path
        The file.
    max_bytes : int
        Most bytes of one text, unpacked.

    Raises
    ------
    GeoJSONError
        If the file cannot be opened, is larger, or is none of these kinds. A file whose text is broken gives a result.
    """
    seen = _Seen()
    for text in texts(path, max_bytes):
        if isinstance(text, GeoJSONError):
            seen.add("entry-unreadable", str(text))
            continue
        seen.entry(text.entry)
        try:
            for number, feature in enumerate(features(text.text), 1):
                seen.feature(number, feature)
        except GeoJSONError as error:
            seen.add("entry-unreadable" if text.entry else "unreadable", seen.where(str(error)))
        seen.entry_ends()
    return seen.result(path)


class _Seen:
    """What has been found so far."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._first: dict[str, str] = {}
        self._kinds: Counter[str] = Counter()
        self._classes: Counter[str] = Counter()
        self._colors: dict[str, Any] = {}
        self._ids: set[int] = set()
        self._features = 0
        self._entry = ""
        self._in_entry = 0
        self._shapes = ShapeCheck()

    def add(self, rule: str, where: str) -> None:
        self._counts[rule] += 1
        self._first.setdefault(rule, where)

    def where(self, place: str) -> str:
        return f"{self._entry}, {place}" if self._entry else place

    def entry(self, name: str) -> None:
        self._entry, self._in_entry = name, 0

    def entry_ends(self) -> None:
        if self._in_entry > MANY_OBJECTS:
            self.add("many-objects", self._entry or "the file")
        self._shapes.finish()
        self._take_shapes()

    def feature(self, number: int, feature: Any) -> None:
        self._features += 1
        self._in_entry += 1
        where = self.where(f"feature {number:,}")
        if not isinstance(feature, dict):
            self.add("feature-kind", where)
            return
        for rule in check_feature(feature):
            self.add(rule, where)
        self._shapes.add(where, feature.get("geometry"))
        if feature.get("nucleusGeometry") is not None:
            self._shapes.add(where, feature["nucleusGeometry"])
        self._take_shapes()
        self._count(feature, where)

    def _take_shapes(self) -> None:
        for where, rule in self._shapes.found:
            self.add(rule, where)
        self._shapes.found.clear()

    def _count(self, feature: dict[str, Any], where: str) -> None:
        kind = kind_of(feature)
        self._kinds[kind] += 1
        properties = feature.get("properties")
        properties = properties if isinstance(properties, dict) else {}
        name = class_name({"properties": properties})
        self._classes[name] += 1
        if kind in ("detection", "cell") and not properties.get("measurements"):
            self.add("no-measurements", where)
        if kind == "tile":
            self.add("tiles", where)
        if kind == "annotation" and self._kinds[kind] == MANY_ANNOTATIONS + 1:
            self.add("many-annotations", where)
        given = properties.get("classification")
        color = given.get("color") if isinstance(given, dict) else None
        if isinstance(color, list) and self._colors.setdefault(name, color[:3]) != color[:3]:
            self.add("class-colors", where)
        if is_uuid(feature.get("id")):
            digest = hash(feature["id"].lower())
            if digest in self._ids:
                self.add("id-twice", where)
            self._ids.add(digest)

    def result(self, path: Path) -> ValidationResult:
        if not self._features and not self._counts:
            self.add("empty", "the file")
        findings = [Finding(rule, *RULES[rule], self._counts[rule], self._first[rule]) for rule in self._counts]
        names = list(RULES)
        findings.sort(key=lambda each: (_ORDER.index(each.severity), names.index(each.rule)))
        return ValidationResult(
            path,
            self._features,
            dict(sorted(self._kinds.items(), key=lambda item: (-item[1], item[0]))),
            dict(sorted(self._classes.items(), key=lambda item: (-item[1], item[0]))),
            tuple(findings),
        )
