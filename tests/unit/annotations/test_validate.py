from __future__ import annotations

import gzip
import json
import re
import zipfile
from copy import deepcopy

import pytest

from pathopipe.annotations.rules import RULES
from pathopipe.annotations.validate import validate
from pathopipe.errors import GeoJSONError

SQUARE = [[[0, 0], [8, 0], [8, 8], [0, 8], [0, 0]]]
GOOD = {
    "type": "Feature",
    "id": "6f0cbb21-3b0c-5d0c-9a7e-0d6c6a1f4b11",
    "geometry": {"type": "Polygon", "coordinates": SQUARE},
    "properties": {
        "objectType": "detection",
        "classification": {"name": "Tumor", "color": [200, 0, 0]},
        "measurements": {"Area µm^2": 12.5},
    },
}
TUMOR = {"name": "Tumor", "color": [200, 0, 0]}
GONE = object()


def feature(**changes):
    """Return the good feature with changes at its top level; GONE removes."""
    return merged(GOOD, changes)


def properties(**changes):
    """Return the good feature with changes among its properties."""
    return feature(properties=merged(GOOD["properties"], changes))


def geometry(kind, coordinates):
    return feature(geometry={"type": kind, "coordinates": coordinates})


def polygon(*rings):
    return geometry("Polygon", [list(map(list, ring)) for ring in rings])


def merged(base, changes):
    values = {**deepcopy(base), **changes}
    return {key: value for key, value in values.items() if value is not GONE}


def box(x0, y0, x1, y1):
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1], [x0, y0]]


def collection(*features):
    return {"type": "FeatureCollection", "features": list(features)}


# A row a rule of design/qupath.md: what is wrong, the feature, and the rules that must be found, and no others.
FEATURES = [
    # Refused
    ("null feature", None, ["feature-kind"]),
    ("id null", feature(id=None), ["id-null"]),
    ("name null", properties(name=None), ["name-null"]),
    ("properties null", feature(properties=None), ["properties-kind"]),
    ("geometry null", feature(geometry=None), ["geometry-missing"]),
    ("geometry missing", feature(geometry=GONE), ["geometry-missing"]),
    ("class without colour", properties(classification={"name": "Tumor"}), ["class-no-color"]),
    ("class colour null", properties(classification={"name": "Tumor", "color": None}), ["class-no-color"]),
    ("class colour in hex", properties(classification={"name": "Tumor", "color": "#C80000"}), ["class-color-kind"]),
    ("class colour an integer", properties(classification={"name": "Tumor", "color": -3670016}), ["class-color-kind"]),
    ("class colour of five", properties(classification={"name": "T", "color": [1, 2, 3, 4, 5]}), ["class-color-kind"]),
    ("class name empty", properties(classification={"name": "", "color": [1, 2, 3]}), ["class-empty"]),
    ("class without name", properties(classification={"color": [1, 2, 3]}), ["class-empty"]),
    ("class name of two lines", properties(classification={"name": "a\nb", "color": [1, 2, 3]}), ["class-line-break"]),
    ("class name with a colon", properties(classification={"name": "a: b", "color": [1, 2, 3]}), ["class-colon"]),
    ("class a text", properties(classification="Tumor"), ["class-kind"]),
    ("measurement a text", properties(measurements={"Grade": "high"}), ["measurement-text"]),
    ("ring not closed", polygon(box(0, 0, 8, 8)[:-1]), ["ring-open"]),
    ("ring of three points", polygon([[0, 0], [8, 0], [0, 0]]), ["ring-short"]),
    ("bow-tie", polygon([[0, 0], [8, 8], [8, 0], [0, 8], [0, 0]]), ["invalid"]),
    ("hole outside its shell", polygon(box(0, 0, 8, 8), box(20, 20, 22, 22)), ["invalid"]),
    ("hole across its shell", polygon(box(0, 0, 8, 8), box(4, 4, 12, 6)), ["invalid"]),
    ("invalid only on the grid", polygon([[0, 0], [8, 0], [8, 8], [4, 0.004], [0, 8], [0, 0]]),
     ["decimals", "invalid"]),
    ("parts overlap", geometry("MultiPolygon", [[box(0, 0, 8, 8)], [box(4, 4, 12, 12)]]), ["invalid"]),
    ("one part", geometry("MultiPolygon", [SQUARE]), ["one-part"]),
    ("geometry collection", feature(geometry={"type": "GeometryCollection", "geometries": []}),
     ["geometry-collection"]),
    ("unknown geometry", geometry("Circle", [0, 0]), ["geometry-kind"]),
    ("coordinates missing", feature(geometry={"type": "Polygon"}), ["coordinates"]),
    ("coordinates empty", geometry("Polygon", []), ["coordinates"]),
    ("coordinates a text", geometry("Polygon", [[["0", "0"], ["8", "0"], ["8", "8"], ["0", "0"]]]), ["coordinates"]),
    ("coordinate null", geometry("Polygon", [[[0, 0], [8, None], [8, 8], [0, 0]]]), ["coordinates"]),
    ("coordinates one list too flat", geometry("Polygon", SQUARE[0]), ["coordinates"]),
    ("coordinates ragged", geometry("Polygon", [[[0, 0], [8], [8, 8], [0, 0]]]), ["coordinates"]),
    ("a multi polygon's coordinates null", geometry("MultiPolygon", None), ["one-part", "coordinates"]),
    ("kind of object null", properties(objectType=None), ["type-null"]),
    ("object's colour in hex", properties(color="#FF0000"), ["color-text"]),
    # Lost or changed
    ("no kind of object", properties(objectType=GONE), ["type-missing"]),
    ("misspelt kind of object", properties(objectType="Detection"), ["type-unknown"]),
    ("kind of object a list", properties(objectType=["cell"]), ["type-unknown"]),
    ("kind beside the properties", merged(properties(objectType=GONE), {"objectType": "detection"}),
     ["type-misplaced", "type-missing"]),
    ("class in properties.type", properties(objectType=GONE, type="Tumor"), ["class-in-type"]),
    ("id of another tool", feature(id="object_17"), ["id-not-uuid"]),
    ("id a number", feature(id=17), ["id-not-uuid"]),
    ("nucleus on a detection", feature(nucleusGeometry=GOOD["geometry"]), ["nucleus-misplaced"]),
    ("nucleus in properties", properties(objectType="cell", nucleusGeometry=GOOD["geometry"]), ["nucleus-misplaced"]),
    ("plane in properties", properties(plane={"c": -1, "z": 0, "t": 0}), ["plane-misplaced"]),
    ("is_locked", properties(is_locked=True), ["locked-misspelt"]),
    ("flat properties", properties(area=12.5, probability=0.9), ["flat-property"]),
    ("measurement null", properties(measurements={"Area": None, "b": 1}), ["measurement-kind"]),
    ("measurement boolean", properties(measurements={"Is tumor": True}), ["measurement-kind"]),
    ("measurement nested", properties(measurements={"Nucleus": {"Area": 1}}), ["measurement-kind"]),
    ("measurements a text", properties(measurements="none"), ["measurements-kind"]),
    ("collapses on the grid", polygon([[5, 5], [5.002, 5], [5.002, 5.002], [5, 5]]), ["decimals", "collapsed"]),
    ("flat polygon", polygon([[0, 0], [8, 0], [4, 0], [0, 0]]), ["collapsed"]),
    ("class colour in fractions", properties(classification={"name": "T", "color": [0.8, 0.0, 0.1]}),
     ["class-color-fraction"]),
    ("object's colour of four", properties(color=[255, 0, 0, 255]), ["color-length"]),
    # Heavy or odd
    ("tile", properties(objectType="tile"), ["tiles"]),
    ("no measurements", properties(measurements=GONE), ["no-measurements"]),
    ("six decimals", polygon([[0.123456, 0], [8, 0], [8, 8], [0.123456, 0]]), ["decimals"]),
    ("one object for all cells", geometry("MultiPolygon", [[box(20 * i, 0, 20 * i + 9, 9)] for i in range(51)]),
     ["many-parts"]),
    # A nucleus is checked as well
    ("invalid nucleus", merged(properties(objectType="cell"), {"nucleusGeometry": {
        "type": "Polygon", "coordinates": [[[0, 0], [8, 8], [8, 0], [0, 8], [0, 0]]]}}), ["invalid"]),
]  # fmt: skip

FINE = [
    ("as written by us", GOOD),
    ("annotation", properties(objectType="annotation", measurements=GONE, name="Tissue 1", isLocked=True)),
    ("an object's own colour", properties(color=[1, 2, 3])),
    ("cell with nucleus", merged(properties(objectType="cell"), {"nucleusGeometry": GOOD["geometry"]})),
    ("cell without nucleus", properties(objectType="cell")),
    ("no class", properties(classification=GONE)),
    ("no id", feature(id=GONE)),
    ("upper-case UUID", feature(id=GOOD["id"].upper())),
    ("clockwise", polygon(box(0, 0, 8, 8)[::-1])),
    ("duplicate points", polygon([[0, 0], [0, 0], [8, 0], [8, 8], [8, 8], [0, 0]])),
    ("negative coordinates", polygon(box(-8, -8, 0, 0))),
    ("a third coordinate", polygon([[0, 0, 1], [8, 0, 1], [8, 8, 1], [0, 0, 1]])),
    ("unicode class", properties(classification={"name": "腫瘍 µ", "color": [1, 2, 3]})),
    ("rgba class colour", properties(classification={"name": "Tumor", "color": [200, 0, 0, 255]})),
    ("derived class", properties(classification={"names": ["Tumor", "Positive"], "color": [1, 2, 3]})),
    ("NaN measurement", properties(measurements={"Area": float("nan")})),
    ("numeric text", properties(measurements={"Area": "12.5"})),
    ("measurements as before 0.4", properties(measurements=[{"name": "Area", "value": 1.5}])),
    ("several parts", geometry("MultiPolygon", [[box(0, 0, 8, 8)], [box(20, 0, 28, 8)]])),
    ("a hole", polygon(box(0, 0, 8, 8), box(2, 2, 4, 4))),
    ("a point annotation", merged(properties(objectType="annotation", measurements=GONE), {
        "geometry": {"type": "Point", "coordinates": [1, 2]}})),
    ("object_type", properties(objectType=GONE, object_type="detection")),
    ("kind in properties.type", properties(objectType=GONE, type="cell")),
    ("metadata", properties(metadata={"grade": "2"})),
]  # fmt: skip


def checked(tmp_path, value, name="cells.geojson"):
    path = tmp_path / name
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
    return validate(path)


@pytest.mark.parametrize(("why", "bad", "rules"), FEATURES, ids=[row[0] for row in FEATURES])
def test_each_rule_finds_its_feature_and_no_other_rule_does(tmp_path, why, bad, rules):
    good = feature(id="00000000-0000-4000-8000-000000000001")
    result = checked(tmp_path, collection(good, bad))
    assert {each.rule for each in result.findings} == set(rules)
    assert {each.first for each in result.findings} == {"feature 2"}
    assert result.ok == all(RULES[rule].severity == "note" for rule in rules)
    assert result.features == 2


@pytest.mark.parametrize(("why", "good"), FINE, ids=[row[0] for row in FINE])
def test_what_qupath_reads_as_meant_has_no_finding(tmp_path, why, good):
    assert checked(tmp_path, collection(good)).findings == ()
    assert checked(tmp_path, good).findings == ()
    assert checked(tmp_path, [good, feature(id=GONE)]).findings == ()


TEXTS = [
    ("truncated", json.dumps(collection(GOOD, GOOD))[:-200], 1, "ends too early|Expecting|Unterminated"),
    ("one feature a line", json.dumps(GOOD) + "\n" + json.dumps(GOOD), 1, "line 2"),
    ("trailing comma", '{"type":"FeatureCollection","features":[' + json.dumps(GOOD) + ",]}", 1, "Expecting value"),
    ("no JSON", "not json", 0, "line 1, column 1"),
    ("nothing", "", 0, "expected a FeatureCollection"),
    ("a number", "17", 0, "expected a FeatureCollection"),
    ("an object of another kind", '{"type": "Topology", "objects": {}}', 0, 'no array "features"'),
    ("features no array", '{"type": "FeatureCollection", "features": {}}', 0, 'no array "features"'),
    ("a name without quotes", "{type: 1}", 0, "name in quotes"),
    ("nested without end", "[" * 200_000, 0, "nested too deeply"),
    ("a number without end", '[{"a": ' + "9" * 5_000 + "}]", 0, "digits"),
    ("no comma", "[" + json.dumps(GOOD) + json.dumps(GOOD) + "]", 1, "expected ','"),
]


@pytest.mark.parametrize(("why", "text", "features", "told"), TEXTS, ids=[row[0] for row in TEXTS])
def test_a_broken_text_is_refused_with_its_place(tmp_path, why, text, features, told):
    result = checked(tmp_path, text)
    finding = next(each for each in result.findings if each.rule == "unreadable")
    assert result.features == features
    assert not result.ok
    assert re.search(told, finding.first), finding.first


def test_every_rule_of_the_table_is_tested():
    tested = {rule for _, _, rules in FEATURES for rule in rules} | {"unreadable"}
    elsewhere = {"entry-unreadable", "empty", "many-objects", "many-annotations", "id-twice", "class-colors"}
    assert tested | elsewhere == set(RULES)


def test_an_empty_collection_is_told(tmp_path):
    result = checked(tmp_path, collection())
    assert [each.rule for each in result.findings] == ["empty"]


def test_an_id_that_comes_twice_and_a_class_of_two_colours_are_noted(tmp_path):
    other = properties(classification={"name": "Tumor", "color": [1, 2, 3]})
    result = checked(tmp_path, collection(GOOD, other))
    assert [each.rule for each in result.findings] == ["id-twice", "class-colors"]
    assert result.ok


def test_many_annotations_are_noted(tmp_path):
    region = properties(objectType="annotation")
    region.pop("id")
    result = checked(tmp_path, collection(*[region] * 1_001))
    assert [each.rule for each in result.findings] == ["many-annotations"]


def test_many_objects_in_one_file_are_noted(tmp_path, monkeypatch):
    monkeypatch.setattr("pathopipe.annotations.validate.MANY_OBJECTS", 50)
    text = json.dumps(feature(id=GONE))
    assert checked(tmp_path, "[" + ",".join([text] * 50) + "]").findings == ()
    result = checked(tmp_path, "[" + ",".join([text] * 51) + "]")
    assert [each.rule for each in result.findings] == ["many-objects"]


def test_findings_are_counted_and_the_worst_comes_first(tmp_path):
    bow = polygon([[0, 0], [8, 8], [8, 0], [0, 8], [0, 0]])
    features = [merged(each, {"id": "object_1"}) for each in (properties(objectType="tile"), bow, bow)]
    result = checked(tmp_path, collection(*features))
    assert [(each.severity, each.rule, each.count, each.first) for each in result.findings] == [
        ("refused", "invalid", 2, "feature 2"),
        ("lost", "id-not-uuid", 3, "feature 1"),
        ("note", "tiles", 1, "feature 1"),
    ]
    assert result.by_kind == {"detection": 2, "tile": 1}
    assert result.by_class == {"Tumor": 3}
    text = result.as_text()
    assert "QuPath refuses the file" in text
    assert "invalid" in text
    assert text.count("\n") == 3


@pytest.mark.parametrize("name", ["cells.json", "cells.geojson.gz", "cells.geojson.zip", "CELLS.GEOJSON"])
def test_all_kinds_of_files_are_read(tmp_path, name):
    path, text = tmp_path / name, b"\xef\xbb\xbf" + json.dumps(collection(GOOD)).encode()
    if name.endswith("gz"):
        path.write_bytes(gzip.compress(text))
    elif name.endswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a.geojson", text)
            archive.writestr("readme.txt", "not for QuPath")
    else:
        path.write_bytes(text)
    result = validate(path)
    assert result.findings == ()
    assert result.features == 1


def test_a_bad_file_in_a_zip_does_not_hide_the_others(tmp_path):
    path = tmp_path / "cells.zip"
    text = json.dumps(collection(GOOD))
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.geojson", text[:90])
        archive.writestr("b.geojson", b"\xff\xfe\xfa")
        archive.writestr("c.geojson", text.replace("6f0cbb21", "6f0cbb22"))
    result = validate(path)
    finding = next(each for each in result.findings if each.rule == "entry-unreadable")
    assert finding.count == 2
    assert finding.first.startswith("a.geojson, line 1")
    assert result.features == 1


def test_what_is_unpacked_is_limited(tmp_path):
    path = tmp_path / "bomb.geojson.gz"
    path.write_bytes(gzip.compress(b" " * 10_000_000))
    with pytest.raises(GeoJSONError, match="larger than 1,000,000 bytes"):
        validate(path, max_bytes=1_000_000)
    with zipfile.ZipFile(tmp_path / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.json", b" " * 10_000_000)
    with pytest.raises(GeoJSONError, match=r"a\.json is larger"):
        validate(tmp_path / "bomb.zip", max_bytes=1_000_000)


@pytest.mark.parametrize(("name", "content"), [("a.txt", b"{}"), ("a.zip", b"PK nonsense"), ("a.json.gz", b"nonsense")])
def test_a_file_that_cannot_be_opened_is_an_error(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(GeoJSONError, match=name):
        validate(tmp_path / name)


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(GeoJSONError, match=r"none\.geojson cannot be read"):
        validate(tmp_path / "none.geojson")
