from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.veil import SHORTEST, Veil


def veil(slide="/data/Müller Hans/H24-4711 Doe.ome.tiff", own_id="H24-4711 Doe"):
    return Veil(slide, "5f/a1", "a1", own_id)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("no reader opens /data/Müller Hans/H24-4711 Doe.ome.tiff (x)", "no reader opens 5f/a1 (x)"),
        ("H24-4711 Doe.ome.tiff is empty", "a1 is empty"),
        ("tiles of H24-4711 Doe.", "tiles of a1."),
        ("of 'H24-4711 Doe.ome'", "of 'a1'"),
        ("see /data/M%C3%BCller%20Hans/H24-4711%20Doe.ome.tiff", "see 5f/a1"),
        ("Slidedat: '/data/Müller Hans/of another, Karl.dat' is gone", "Slidedat: '…' is gone"),
        ("[Errno 2] /data/Müller Hans: no", "[Errno 2] …: no"),
        ("level 0, x 0–9", "level 0, x 0–9"),
        ("XH24-4711 Doe", "XH24-4711 Doe"),
    ],
)
def test_every_form_of_the_names_goes(text, told):
    assert veil().over(text) == told


def test_values_inside_are_reached_and_keys_and_numbers_stay():
    given_ = {"H24-4711 Doe": 3, "a": ["H24-4711 Doe", {"b": ("H24-4711 Doe", None, 0.5)}]}
    assert veil().over(given_) == {"H24-4711 Doe": 3, "a": ["a1", {"b": ["a1", None, 0.5]}]}


def test_a_url_loses_host_folder_and_query():
    hidden = veil("s3://mueller-bucket/hans/x y.svs?token=geheim", "x y")
    assert "mueller" not in hidden.over(
        "cannot open s3://mueller-bucket/hans/x y.svs: 404, mueller-bucket/hans/x y.svs"
    )
    assert hidden.over("GET s3://mueller-bucket/hans/x y.svs?token=geheim") == "GET 5f/a1"


def test_a_link_hides_what_it_points_to(tmp_path):
    (tmp_path / "secret name.svs").touch()
    (tmp_path / "link.svs").symlink_to(tmp_path / "secret name.svs")
    hidden = Veil(str(tmp_path / "link.svs"), "5f/a1", "a1", "link")
    assert hidden.over(f"{tmp_path}/secret name.svs: broken; secret name.svs") == "5f/a1: broken; a1"


NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters="/"), min_size=SHORTEST, max_size=30)


@settings(max_examples=200, deadline=None)
@given(folder=NAMES, stem=NAMES, before=st.text(max_size=20), after=st.text(max_size=20))
def test_no_path_survives_in_any_text(folder, stem, before, after):
    path = f"/data/{folder}/{stem}.svs"
    hidden = Veil(path, "5f/a1", "a1", stem)
    for form in (path, repr(path)):
        assert path not in hidden.over(f"{before}{form}{after}")
        assert f"{folder}/{stem}" not in hidden.over(f"{before} {form} {after}") or f"{folder}/{stem}" in before + after
