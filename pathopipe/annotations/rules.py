"""What QuPath refuses, loses or changes when it imports GeoJSON, and what to do about it.

Taken from its source (0.3.2 to 0.8.0-SNAPSHOT) and from imports into 0.5.1, 0.6.0 and 0.7.0.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

Severity = Literal["refused", "lost", "note"]
"""The whole file is refused; something is silently lost or changed; heavy or odd, but imported as it is."""

MANY_ANNOTATIONS = 1_000
MANY_PARTS = 50
MANY_OBJECTS = 50_000


class Rule(NamedTuple):
    """One way to go wrong."""

    severity: Severity
    what: str
    """What is wrong, and what QuPath makes of it."""
    cure: str
    """What to write instead."""


RULES: dict[str, Rule] = {
    # The file
    "unreadable": Rule("refused", "the text is not JSON of features", "write a FeatureCollection as strict JSON"),
    "entry-unreadable": Rule("lost", "a file in the .zip cannot be read: QuPath skips it", "write the .zip again"),
    "empty": Rule("lost", "there are no objects: QuPath imports nothing and says nothing", "was it meant so?"),
    "many-objects": Rule(
        "note",
        f"more than {MANY_OBJECTS:,} objects in one file need gigabytes of QuPath's memory",
        "write a .zip of files of 20,000 each",
    ),
    # The feature
    "feature-kind": Rule("refused", "a feature is null or no object", "leave it out"),
    "id-null": Rule("refused", '"id" is null', "leave it out, or write a UUID"),
    "id-not-uuid": Rule("lost", '"id" is no UUID: QuPath replaces it', "write a UUID, such as a UUIDv5 of your own id"),
    "id-twice": Rule("note", 'an "id" is there more than once', "write a UUID of its own for every object"),
    "properties-kind": Rule("refused", '"properties" is null or no object', "write an object, {} at least"),
    "name-null": Rule("refused", '"name" is null', "leave it out, or write a text"),
    "flat-property": Rule(
        "lost",
        "a property that QuPath does not know is ignored",
        'put numbers into "measurements", texts into "metadata"',
    ),
    "locked-misspelt": Rule("lost", '"is_locked" is ignored', 'write "isLocked"'),
    "plane-misplaced": Rule("lost", '"plane" among the properties is ignored', 'write it into "geometry"'),
    "color-text": Rule("refused", "an object's colour is a text", "write [red, green, blue], 0 to 255"),
    "color-length": Rule("lost", "an object's colour has not three values: it is ignored", "write [red, green, blue]"),
    # The kind of object
    "type-missing": Rule(
        "lost",
        'there is no "objectType": it becomes an annotation',
        'write "detection" or "cell" into properties.objectType',
    ),
    "type-null": Rule("refused", '"objectType" is null', 'write "annotation", "detection", "cell" or "tile"'),
    "type-unknown": Rule(
        "lost",
        '"objectType" is none that QuPath knows: it becomes an annotation',
        'write "annotation", "detection", "cell" or "tile"',
    ),
    "type-misplaced": Rule("lost", '"objectType" beside the properties is ignored', 'write it into "properties"'),
    "class-in-type": Rule(
        "lost",
        "properties.type holds a class: it is read as the kind of object, which becomes an annotation without class",
        'write "objectType" and "classification"',
    ),
    "many-annotations": Rule(
        "note", f"more than {MANY_ANNOTATIONS:,} annotations make QuPath slow", 'write cells as "detection" or "cell"'
    ),
    "tiles": Rule("note", 'objects are of the kind "tile", which QuPath uses for superpixels', 'write "detection"'),
    # The class
    "class-kind": Rule("refused", '"classification" is no object', 'write {"name": …, "color": [r, g, b]}'),
    "class-no-color": Rule("refused", "a class has no colour", 'add "color": [red, green, blue] to "classification"'),
    "class-color-kind": Rule(
        "refused",
        "a class's colour is no array of three or four numbers",
        'write "color": [red, green, blue], 0 to 255',
    ),
    "class-color-fraction": Rule("lost", "a class's colour is in fractions: it becomes black", "write 0 to 255"),
    "class-colors": Rule("note", "a class has several colours: QuPath keeps the first", "write one colour a class"),
    "class-empty": Rule("refused", "a class has an empty name", 'leave "classification" out'),
    "class-line-break": Rule("refused", "a class name has a line break", "write it in one line"),
    "class-colon": Rule(
        "refused", 'a class name has a ":"', 'write "names": ["Tumor", "Positive"] for a derived class'
    ),
    # The measurements
    "measurement-text": Rule("refused", "a measurement is a text", "write a number, or leave it out"),
    "measurement-kind": Rule("lost", "a measurement is null, true, false or nested: it is lost", "leave it out"),
    "measurements-kind": Rule("lost", '"measurements" is no object: it is ignored', "write {name: number}"),
    "no-measurements": Rule("note", "cells have no measurements", 'write "measurements": {name: number}'),
    # The geometry
    "geometry-missing": Rule("refused", '"geometry" is missing or null', "leave the feature out"),
    "geometry-kind": Rule("refused", "a geometry is of no kind that QuPath reads", "write a Polygon or MultiPolygon"),
    "geometry-collection": Rule("refused", "QuPath 0.6 and later refuse a GeometryCollection", "write its polygons"),
    "coordinates": Rule("refused", "coordinates are no nested lists of finite numbers", "write [[[x, y], …]]"),
    "ring-open": Rule("refused", "a ring is not closed", "repeat its first point at its end"),
    "ring-short": Rule("refused", "a ring has fewer than four points", "leave the feature out"),
    "invalid": Rule(
        "refused",
        "QuPath 0.6 and later refuse a polygon that is invalid (crosses itself, has a hole or part in a wrong place)",
        "round to 2 decimals, then repair (make_valid) or leave out",
    ),
    "collapsed": Rule("lost", "a polygon has no area on QuPath's grid of 0.01 px: it becomes empty", "leave it out"),
    "one-part": Rule("refused", "QuPath 0.5 refuses a MultiPolygon of one part", "write a Polygon"),
    "many-parts": Rule(
        "note",
        f"a MultiPolygon of more than {MANY_PARTS} parts is one object: cells cannot be told apart",
        "write a feature a cell",
    ),
    "decimals": Rule(
        "note", "coordinates have more than two decimals: QuPath rounds them", "write one; the file shrinks"
    ),
    "nucleus-misplaced": Rule(
        "lost", '"nucleusGeometry" is ignored', 'write it beside "geometry", on objects of the kind "cell"'
    ),
}
