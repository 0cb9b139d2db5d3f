"""``--anonymous``: no output tells what a slide is called or where it lies."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pytest

from pathopipe.synth.slide import draw_slide
from pathopipe.synth.spec import SynthSpec
from tests.support.cli import RESULTS, pathopipe, results, summary
from tests.support.leaks import places_of

SECRETS = ("H24-4711", "Müller", "Geheim", "Patient-0815")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    return draw_slide(tmp_path_factory.mktemp("drawn") / "d.svs", SynthSpec(width=1100, height=700, seed=3)).slide


@pytest.fixture(scope="module")
def anonymous(drawn, tmp_path_factory):
    """Slides of telling names, two of one stem, some broken, analysed under a new key."""
    root = tmp_path_factory.mktemp("anonymous")
    slides = root / "Müller, Hans"
    for folder in ("a Geheim", "b"):
        (slides / folder).mkdir(parents=True)
        shutil.copy(drawn, slides / folder / "H24-4711 x.svs")
    cut = bytearray(drawn.read_bytes())
    start = cut.find(b"\xff\xd8")
    cut[start : start + 40_000] = bytes(40_000)
    (slides / "H24-4711 holes.svs").write_bytes(cut)
    (slides / "H24-4711 text.svs").write_text("no slide")
    (slides / "H24-4711 notes.Geheim").touch()
    (root / "m.csv").write_text("slide,id\nMüller\\, Hans/none.svs,x\n", encoding="utf-8")
    (root / "m.csv").write_text(f'slide,id\n"{slides}/b/H24-4711 gone.svs",Patient-0815\n', encoding="utf-8")
    arguments = ("run", slides, root / "m.csv", "--out", root / "out", "--anonymous", root / "k")
    return root, arguments, pathopipe(*arguments, "--workers", 2, code=1)


def test_no_byte_of_any_output_tells(anonymous):
    root, _, done = anonymous
    assert places_of((*SECRETS, str(root)), root / "out") == []
    for secret in (*SECRETS, str(root / "Müller")):
        assert secret not in done.stdout
        assert secret not in done.stderr
    statuses = sorted(row["status"] for row in summary(root / "out").values())
    assert statuses[:2] == ["complete", "complete"]
    assert len(statuses) == 5
    assert statuses.count("failed") >= 2


def test_the_key_is_made_for_its_owner_alone_and_the_table_can_be_had_again(anonymous):
    root, _, done = anonymous
    assert "made the key" in done.stderr
    assert (root / "k").stat().st_mode & 0o077 == 0
    told = pathopipe("names", root / "Müller, Hans", root / "m.csv", "--anonymous", root / "k").stdout
    table = {row["id"]: row for row in csv.DictReader(io.StringIO(told))}
    rows = summary(root / "out")
    assert table.keys() == rows.keys()
    assert {name: row["slide"] for name, row in table.items()} == {name: row["slide"] for name, row in rows.items()}
    assert sum("H24-4711" in row["path"] for row in table.values()) == 5


def test_the_same_command_again_goes_on_under_the_same_names(anonymous):
    root, arguments, _ = anonymous
    before = {path: path.stat().st_mtime_ns for path in (root / "out").rglob("instances/*.npz")}
    assert before
    done = pathopipe(*arguments, "--cluster", "serial", code=1)
    assert "2 of them unchanged" in done.stdout or "unchanged" in done.stdout
    assert before.items() <= {path: path.stat().st_mtime_ns for path in (root / "out").rglob("instances/*.npz")}.items()
    assert len(summary(root / "out")) == 5
    assert places_of(SECRETS, root / "out") == []


def test_the_cells_are_those_of_a_run_under_names(anonymous, drawn, tmp_path):
    root, *_ = anonymous
    pathopipe("run", drawn, "--out", tmp_path, "--cluster", "serial")
    complete = [name for name, row in summary(root / "out").items() if row["status"] == "complete"]
    assert len(complete) == 2
    for name in complete:
        assert results(root / "out" / name) == results(tmp_path / "d")
    assert set(RESULTS) <= {path.name for path in (root / "out" / complete[0]).iterdir()}


def test_names_and_pseudonyms_are_not_mixed(anonymous, drawn):
    root, *_ = anonymous
    for options, told in (((), "anonymous results"), (("--anonymous", root / "k2"), "of another key")):
        assert told in pathopipe("run", drawn, "--out", root / "out", "--cluster", "serial", *options, code=2).stderr
    inside = pathopipe(
        "run", drawn, "--out", root / "out", "--anonymous", root / "out" / "k", "--cluster", "serial", code=2
    )
    assert "would be shared with it" in inside.stderr
    assert not (root / "out" / "k").exists()
    assert places_of(SECRETS, root / "out") == []


def test_other_commands_on_the_folder_bring_no_name_back(anonymous):
    root, *_ = anonymous
    pathopipe("score", root / "out")
    pathopipe("report", root / "out")
    assert places_of((*SECRETS, str(root)), root / "out") == []
    assert json.loads((root / "out" / "run.json").read_text())["anonymous"]
