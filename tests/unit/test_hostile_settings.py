"""Settings, manifests and names that mean harm, or are damaged."""

from __future__ import annotations

import csv
import io
import os
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.batch.summary import read_summary, summary_row, write_summary
from pathopipe.config import load_config, read_yaml
from pathopipe.errors import ConfigError, LimitError, PathopipeError
from pathopipe.files import read_json, write_json
from pathopipe.layout import SlideFolder
from pathopipe.limits import LimitsSpec
from pathopipe.record import Record
from pathopipe.report.gather import gather
from pathopipe.report.page import write_report
from pathopipe.slide.find import find_slides
from pathopipe.slide.naming import safe
from pathopipe.slide.open import open_slide
from pathopipe.spec import parse_yaml

LAUGHS = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{now}: &{now} [{', '.join([f'*{before}'] * 9)}]\n" for before, now in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (LAUGHS, "aliases"),
        ("grid: !!python/object/apply:os.system [id]", "not YAML"),
        ("grid: !!python/name:os.system", "not YAML"),
        ("grid: " + "[" * 20_000, "nested too deeply"),
        ("grid: {" * 5000, "nested too deeply"),
        ("x: 2001-99-99", "not YAML"),
        ("x: " + "9" * 5000, "not YAML"),
        ("? [a]\n: b", "not YAML"),
        ("x" * 1_000_001, "no more than 1,000,000"),
        ("\0", "not YAML"),
    ],
)
def test_settings_are_plain_values_of_moderate_size(text, told):
    began = time.process_time()
    with pytest.raises(ConfigError, match=told):
        parse_yaml(text, "x.yaml")
    assert time.process_time() - began < 10


@pytest.mark.parametrize("value", [".nan", ".inf", "1e999"])
def test_numbers_that_are_none_are_refused(value):
    with pytest.raises(ConfigError, match="wrong configuration"):
        load_config(settings=[f"scale_check.max_median_um={value}"])


def test_a_long_wrong_value_is_told_in_short():
    with pytest.raises(ConfigError) as caught:
        load_config(settings=[f"model.device={'x' * 5000}"])
    assert len(str(caught.value)) < 600


SETTINGS = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10) | st.integers(), inner, max_size=4)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(text=st.text(max_size=200) | st.binary(max_size=200) | SETTINGS.map(repr))
def test_any_settings_file_is_read_or_told(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "fuzzed.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
    try:
        load_config(path)
    except PathopipeError as error:
        assert str(error)  # noqa: PT017


@settings(max_examples=150, deadline=None)
@given(
    values=st.dictionaries(st.sampled_from(["grid", "slide", "tissue", "limits", "model", "x"]), SETTINGS, max_size=3)
)
def test_any_values_are_taken_or_told(tmp_path_factory, values):
    import yaml

    path = tmp_path_factory.getbasetemp() / "values.yaml"
    path.write_text(yaml.safe_dump(values, allow_unicode=False), encoding="utf-8")
    try:
        load_config(path)
    except ConfigError as error:
        assert str(error)  # noqa: PT017


@pytest.mark.parametrize(
    "wanted", ["../../x", "/etc/x", "a/b", "a\\b", ".", "..", ".x", "a" * 300, "a\0b", "=1+1", "-rf"]
)
def test_ids_that_lead_elsewhere_are_refused(tmp_path, wanted):
    (tmp_path / "m.csv").write_text(f'slide,id\na.svs,"{wanted}"\n')
    with pytest.raises(ConfigError, match="cannot name a folder; use"):
        find_slides([tmp_path / "m.csv"])


@pytest.mark.parametrize(
    ("slide", "told"),
    [("a\0.svs", "zero byte"), ("~nobody-of-that-name/a.svs", "home directory")],
)
def test_paths_that_are_none_are_told(tmp_path, slide, told):
    (tmp_path / "m.csv").write_text(f"slide\n{slide}\n")
    with pytest.raises(ConfigError, match=told):
        find_slides([tmp_path / "m.csv"])


def test_a_path_that_is_too_long_fails_alone(tmp_path):
    (tmp_path / "m.csv").write_text(f"slide\n{'a' * 5000}.svs\nb.svs\n")
    (tmp_path / "loop.svs").symlink_to(tmp_path / "loop.svs")
    found = find_slides([tmp_path / "m.csv", tmp_path / "loop.svs"])
    assert len(found.slides) == 3
    for slide in found.slides:
        assert len(slide.id.encode()) <= 200
        with pytest.raises(PathopipeError):
            open_slide(slide.path)


def test_a_manifest_is_no_larger_than_allowed(tmp_path):
    (tmp_path / "m.csv").write_text("slide\n" + "a.svs\n" * 100)
    with pytest.raises(LimitError, match=r"the manifest .*limits.max_table_bytes=100"):
        find_slides([tmp_path / "m.csv"], LimitsSpec(max_table_bytes=100))


CELLS = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ['"', "\0", "~", "~x", "../", "=1", "s3://x"]
)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(st.lists(CELLS, max_size=4), max_size=5), raw=st.binary(max_size=100), plain=st.booleans())
def test_any_manifest_is_read_or_told(tmp_path_factory, rows, raw, plain):
    path = tmp_path_factory.getbasetemp() / "fuzzed.csv"
    text = "slide,mpp,id\n" + "\n".join(",".join(row) for row in rows)
    path.write_bytes(raw if plain else text.encode() + raw)
    try:
        found = find_slides([path])
    except ConfigError as error:
        assert str(error)  # noqa: PT017
        return
    folders = {(path.parent / "out" / slide.id).resolve() for slide in found.slides}
    assert len(folders) == len(found.slides)
    assert all(folder.parent == (path.parent / "out").resolve() for folder in folders)


@given(st.text(max_size=300))
def test_an_id_is_a_folder_name_and_no_formula(name):
    safe_name = safe(name)
    assert safe_name == safe(safe_name)
    assert safe_name[0] not in "=+-@."
    assert "/" not in safe_name
    assert len(safe_name.encode()) <= 205


HOSTILE = ("<img src=x onerror=alert(1)>", "\"'><script>alert(1)</script>", "{{ 7*7 }}", "javascript:alert(1)")


def record_of(name: str, text: str) -> Record:
    return Record(name, f"/slides/{text}", "failed", text, info={"unusual": [text]}, remarks=[text])


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1+cmd", "-2+3", "@SUM(1)", "\t=1", "\r=1"])
def test_no_cell_of_the_summary_is_a_formula(tmp_path, text):
    folder = SlideFolder(tmp_path / "a")
    record = Record("a", text, "failed", text, remarks=[text]).save(folder)
    write_summary(tmp_path, [summary_row(record, folder)])
    (row,) = csv.DictReader(io.StringIO((tmp_path / "summary.csv").read_bytes().decode()))
    assert not any(value.startswith(("=", "+", "-", "@", "\t", "\r")) for value in row.values())
    assert text.strip() in row["error"]


def test_nothing_in_the_report_is_markup_of_others(tmp_path):
    for number, text in enumerate(HOSTILE):
        record = record_of(f"s{number}", text)
        record.save(SlideFolder(tmp_path / record.id))
        rows = {row["id"]: row for row in read_summary(tmp_path)}
        rows[record.id] = summary_row(record, SlideFolder(tmp_path / record.id))
        write_summary(tmp_path, rows.values())
    write_json(tmp_path / "run.json", {"command": list(HOSTILE), "config": {"x": HOSTILE[1]}, "model": {HOSTILE[0]: 1}})
    page = write_report(tmp_path).read_text(encoding="utf-8")
    assert "<img src=x" not in page
    assert page.count("<script") == 1
    assert "alert(1)</script>" not in page
    assert "49" not in [word.strip() for word in page.split("{{")]
    assert 'href="javascript' not in page
    assert "default-src 'none'" in page


def test_a_summary_cannot_lead_the_report_out_of_its_folder(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    record_of("x", "secret").save(SlideFolder(tmp_path / "x"))
    (out / "summary.csv").write_text("id,slide,status\n../x,a,complete\n/etc,b,complete\na,c,failed\n")
    assert [slide.id for slide in gather(out).slides] == ["a"]


def test_names_that_are_no_text_are_kept_and_shown(tmp_path):
    name = os.fsdecode(b"caf\xe9.svs")
    (tmp_path / name).write_bytes(b"no slide")
    (slide,) = find_slides([tmp_path]).slides
    folder = SlideFolder(tmp_path / slide.id)
    record = Record(slide.id, slide.path, "failed", f"no reader opens {slide.path}").save(folder)
    assert Record.load(folder) == record
    write_summary(tmp_path, [summary_row(record, folder)])
    assert "caf" in write_report(tmp_path).read_text(encoding="utf-8")


def test_json_that_is_nested_too_deeply_is_none(tmp_path):
    (tmp_path / "a.json").write_text('{"a":' * 100_000)
    assert read_json(tmp_path / "a.json") is None
    assert read_yaml(Path(os.devnull)) == {}
