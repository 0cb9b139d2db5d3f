from __future__ import annotations

import hashlib
import hmac
import os
import stat

import pytest

from pathopipe.anonymity import Anonymity, check_folder, is_open, make_key, read_key, shown_command, shown_settings
from pathopipe.errors import ConfigError
from pathopipe.files import write_json
from pathopipe.slide.find import find_slides

KEY = Anonymity(b"0123456789abcdef")


def test_a_pseudonym_is_hmac_sha256():
    wanted = hmac.new(b"0123456789abcdef", b"id\0slide 1", hashlib.sha256).hexdigest()
    assert KEY.pseudonym("id", "slide 1") == wanted[:20]
    assert KEY.pseudonym("id", "slide 1") != Anonymity(b"0123456789abcdeF").pseudonym("id", "slide 1")
    assert KEY.pseudonym("id", "slide 1") != KEY.pseudonym("path", "slide 1")


def test_the_key_does_not_show_in_its_repr():
    assert "0123" not in repr(KEY)


def test_a_key_is_made_once_and_for_its_owner_alone(tmp_path):
    before = os.umask(0)
    try:
        assert make_key(tmp_path / "k")
    finally:
        os.umask(before)
    key = read_key(tmp_path / "k")
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    assert not is_open(tmp_path / "k")
    assert not make_key(tmp_path / "k")
    assert read_key(tmp_path / "k") == key
    make_key(tmp_path / "other")
    assert read_key(tmp_path / "other") != key
    (tmp_path / "k").chmod(0o640)
    assert is_open(tmp_path / "k")


def test_a_key_that_is_no_use_is_refused(tmp_path):
    (tmp_path / "short").write_text("secret\n")
    with pytest.raises(ConfigError, match="6 bytes is guessed too easily"):
        read_key(tmp_path / "short")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_key(tmp_path / "none")
    with pytest.raises(ConfigError, match="cannot be written"):
        make_key(tmp_path / "none" / "k")
    with pytest.raises(ConfigError, match="lies in the output folder"):
        read_key(tmp_path / "out" / ".." / "out" / "k", tmp_path / "out")
    with pytest.raises(ConfigError, match="lies in the output folder"):
        make_key(tmp_path / "out" / "k", tmp_path / "out")


def test_slides_of_one_stem_have_different_pseudonyms_and_the_same_again(tmp_path):
    for name in ("a/x.svs", "b/x.svs", "c/y.svs"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    found = find_slides([tmp_path])
    veiled = KEY.over(found)
    assert len({slide.id for slide in veiled.slides}) == len({slide.veil.shown for slide in veiled.slides}) == 3
    assert [slide.path for slide in veiled.slides] == [slide.path for slide in found.slides]
    assert KEY.over(find_slides([tmp_path])) == veiled
    assert all(slide.veil.shown.endswith(f"/{slide.id}") for slide in veiled.slides)
    table = list(KEY.table(found))
    assert [row[0] for row in table] == [slide.id for slide in veiled.slides]
    assert [row[2] for row in table] == [slide.path for slide in found.slides]


def test_ids_of_a_manifest_are_replaced_too(tmp_path):
    (tmp_path / "x.svs").touch()
    (tmp_path / "m.csv").write_text("slide,id\nx.svs,Doe\n")
    (slide,) = KEY.over(find_slides([tmp_path / "m.csv"])).slides
    assert slide.id == KEY.pseudonym("id", "Doe")
    assert slide.veil.over("Doe: x.svs") == f"{slide.id}: {slide.id}"


def test_what_was_passed_over_is_told_without_names(tmp_path):
    (tmp_path / "x.svs").touch()
    (tmp_path / "y.Mueller").touch()
    found = KEY.over(find_slides([tmp_path, tmp_path / "x.svs"]))
    told = " ".join(found.remarks)
    assert "ueller" not in told
    assert str(tmp_path) not in told
    assert "Ignored 1 file" in told
    assert "Given more than once, analysed once: a slide." in told


@pytest.mark.parametrize(
    ("words", "shown"),
    [
        ("run a.svs --out o", "run … --out …"),
        ("run --out=o --mpp 0.5 -q b", "run --out=… --mpp … -q …"),
        ("run -oresults -vv a", "run -o… -v… …"),
        ("run --out o -- -doe.svs", "run --out … … …"),
    ],
)
def test_the_command_is_told_without_its_values(words, shown):
    assert shown_command(["pathopipe", *words.split()]) == ["pathopipe", *shown.split()]


def test_settings_are_told_without_folders_and_addresses():
    given = {"model": {"name": "/home/doe/m.safetensors"}, "engine": {"cluster": "tcp://doe-pc:8786", "workers": 3}}
    assert shown_settings(given) == {"model": {"name": "m.safetensors"}, "engine": {"cluster": "…", "workers": 3}}


def test_an_output_folder_has_names_or_pseudonyms_of_one_key(tmp_path):
    check_folder(tmp_path, None)
    check_folder(tmp_path, "k1")
    write_json(tmp_path / "run.json", {"anonymous": "k1"})
    check_folder(tmp_path, "k1")
    with pytest.raises(ConfigError, match="holds anonymous results"):
        check_folder(tmp_path, None)
    with pytest.raises(ConfigError, match="of another key"):
        check_folder(tmp_path, "k2")
    write_json(tmp_path / "run.json", {"anonymous": None})
    check_folder(tmp_path, None)
    with pytest.raises(ConfigError, match="the slides' own names"):
        check_folder(tmp_path, "k1")
    (tmp_path / "run.json").unlink()
    (tmp_path / "summary.csv").touch()
    with pytest.raises(ConfigError, match="the slides' own names"):
        check_folder(tmp_path, "k1")
