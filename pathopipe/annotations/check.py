"""Everything about one feature that can be told without its coordinates."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

KINDS = {
    **{kind: kind for kind in ("annotation", "detection", "cell", "tile", "tmaCore", "root")},
    "tma_core": "tmaCore",
    "unknown": "annotation",
    "PathAnnotationObject": "annotation",
    "PathDetectionObject": "detection",
    "PathCellObject": "cell",
    "PathTileObject": "tile",
    "TMACoreObject": "tmaCore",
    "PathRootObject": "root",
}
"""What "objectType" may say, its old spellings included, and the kind of object that QuPath makes of it."""
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_PROPERTIES = {
    "objectType", "object_type", "type", "name", "color", "classification", "measurements", "metadata", "isLocked",
    "isMissing", "childObjects", "children",
}  # fmt: skip
_OWN_RULE = {"is_locked": "locked-misspelt", "plane": "plane-misplaced", "nucleusGeometry": "nucleus-misplaced"}
"""Properties that QuPath ignores, for which there is a rule of their own."""


def kind_of(feature: dict[str, Any]) -> str:
    """Return the kind of object that QuPath makes of ``feature``."""
    properties = feature.get("properties")
    said = feature.get("id")
    for key in ("objectType", "object_type", "type"):
        if isinstance(properties, dict) and key in properties:
            said = properties[key]
            break
    return KINDS.get(said, "annotation") if isinstance(said, str) else "annotation"


def check_feature(feature: dict[str, Any]) -> Iterator[str]:
    """Yield the rules that id, kind and properties of ``feature`` break."""
    if "id" in feature:
        yield from _check_id(feature["id"])
    if "objectType" in feature:
        yield "type-misplaced"
    if "nucleusGeometry" in feature and kind_of(feature) != "cell":
        yield "nucleus-misplaced"
    properties = feature.get("properties", {})
    if not isinstance(properties, dict):
        yield "properties-kind"
        return
    yield from _check_kind(properties, feature.get("id"))
    yield from _check_properties(properties)
    if "classification" in properties and properties["classification"] is not None:
        yield from _check_class(properties["classification"])
    if "measurements" in properties:
        yield from _check_measurements(properties["measurements"])


def _check_id(given: Any) -> Iterator[str]:
    if given is None:
        yield "id-null"
    elif not is_uuid(given):
        yield "id-not-uuid"


def _check_kind(properties: dict[str, Any], legacy: Any) -> Iterator[str]:
    for key in ("objectType", "object_type", "type"):
        if key in properties:
            if properties[key] is None:
                yield "type-null"
            elif not (isinstance(properties[key], str) and properties[key] in KINDS):
                yield "class-in-type" if key == "type" else "type-unknown"
            return
    if not (isinstance(legacy, str) and legacy in KINDS):
        yield "type-missing"


def _check_properties(properties: dict[str, Any]) -> Iterator[str]:
    if "name" in properties and properties["name"] is None:
        yield "name-null"
    for key in properties:
        if key in _OWN_RULE:
            yield _OWN_RULE[key]
        elif key not in _PROPERTIES:
            yield "flat-property"
    color = properties.get("color")
    if isinstance(color, str):
        yield "color-text"
    elif isinstance(color, list) and len(color) != 3:
        yield "color-length"


def _check_class(given: Any) -> Iterator[str]:
    if not isinstance(given, dict):
        yield "class-kind"
        return
    names = given["names"] if isinstance(given.get("names"), list) else [given.get("name")]
    texts = [name for name in names if isinstance(name, str)]
    if len(texts) < len(names) or not texts or not all(text.strip() for text in texts):
        yield "class-empty"
    if any("\n" in text or "\r" in text for text in texts):
        yield "class-line-break"
    if any(":" in text for text in texts):
        yield "class-colon"
    color = given.get("color")
    if color is None:
        yield "class-no-color"
    elif not (isinstance(color, list) and len(color) in (3, 4) and all(map(is_number, color))):
        yield "class-color-kind"
    elif any(isinstance(value, float) for value in color) and max(color) <= 1:
        yield "class-color-fraction"


def _check_measurements(given: Any) -> Iterator[str]:
    if isinstance(given, list):  # as QuPath wrote them before 0.4
        given = {item.get("name"): item.get("value") for item in given if isinstance(item, dict)}
    if not isinstance(given, dict):
        yield "measurements-kind"
        return
    for value in given.values():
        if isinstance(value, str):
            if not _is_numeric(value):
                yield "measurement-text"
        elif not is_number(value):
            yield "measurement-kind"


def is_uuid(value: Any) -> bool:
    """Return whether a JSON value is the text of a UUID."""
    return isinstance(value, str) and _UUID.fullmatch(value) is not None


def is_number(value: Any) -> bool:
    """Return whether a JSON value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_numeric(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
