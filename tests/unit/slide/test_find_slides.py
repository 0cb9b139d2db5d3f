from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.errors import ConfigError
from pathopipe.slide.find import find_slides
from pathopipe.slide.naming import TAKEN, name_slides, safe
from tests.support.drawn_dicom import write_head


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names_of(found, root: Path) -> list[str]:
    return [str(Path(slide.path).relative_to(root)) for slide in found.slides]


def test_a_folder_is_searched_sorted_and_hidden_files_skipped(tmp_path):
    touch(tmp_path, "b.svs", "a/z.tiff", "a/y.ndpi", "C.SVS", ".hidden.svs", ".cache/x.svs", "n.txt", "m.txt", "o.xml")
    found = find_slides([tmp_path])
    assert names_of(found, tmp_path) == ["C.SVS", "a/y.ndpi", "a/z.tiff", "b.svs"]
    assert found.ignored == {".txt": 2, ".xml": 1}
    assert found.remarks == ("Ignored 3 files that are no slides: 2 .txt, 1 .xml.",)


def test_a_named_file_is_tried_whatever_its_extension(tmp_path):
    touch(tmp_path, "picture.png", "odd")
    assert names_of(find_slides([tmp_path / "picture.png", tmp_path / "odd"]), tmp_path) == ["picture.png", "odd"]
    with pytest.raises(ConfigError, match="no slides found"):
        find_slides([tmp_path])


def test_a_missing_file_is_listed_to_fail_alone(tmp_path):
    touch(tmp_path, "a.svs")
    assert names_of(find_slides([tmp_path / "gone.svs", tmp_path / "a.svs"]), tmp_path) == ["gone.svs", "a.svs"]


def test_slides_of_several_files_are_one(tmp_path):
    touch(tmp_path, "m.mrxs", "m/Slidedat.ini", "m/Data0000.tif", "s.zarr/0/c/0.tif", "plain/.zgroup", "plain/0/a.tif")
    for name in ("d/1.dcm", "d/2.dcm", "d/3.dcm"):
        (tmp_path / "d").mkdir(exist_ok=True)
        write_head(tmp_path / name, "1.2" if name != "d/3.dcm" else "1.3")
    assert names_of(find_slides([tmp_path]), tmp_path) == ["d/1.dcm", "d/3.dcm", "m.mrxs", "plain", "s.zarr"]


def test_outputs_of_earlier_runs_are_not_slides(tmp_path):
    touch(
        tmp_path,
        "a.svs",
        "out/run.json",
        "out/summary.csv",
        "out/a/tiles.zarr/zarr.json",
        "half/a/tiles.zarr/zarr.json",
    )
    found = find_slides([tmp_path])
    assert names_of(found, tmp_path) == ["a.svs"]
    assert names_of(find_slides([tmp_path / "half/a/tiles.zarr"]), tmp_path) == ["half/a/tiles.zarr"]


def test_the_same_slide_is_listed_once(tmp_path, monkeypatch):
    touch(tmp_path, "a.svs")
    write_head(tmp_path / "1.dcm", "1.2")
    write_head(tmp_path / "2.dcm", "1.2")
    (tmp_path / "link.svs").symlink_to("a.svs")
    monkeypatch.chdir(tmp_path)
    found = find_slides(["a.svs", "./a.svs", str(tmp_path / "a.svs"), "link.svs", "2.dcm", "1.dcm"])
    assert [slide.path for slide in found.slides] == ["a.svs", "2.dcm"]
    assert len(found.repeated) == 4
    assert "link.svs" in found.remarks[0]


def test_links_in_circles_end(tmp_path):
    touch(tmp_path, "a/a.svs")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    assert len(find_slides([tmp_path]).slides) == 1


def test_urls_are_taken_as_they_are():
    found = find_slides(["s3://bucket/folder/CMU-1.ome.tiff", "memory://x/y.zarr/"])
    assert [slide.id for slide in found.slides] == ["CMU-1", "y"]


def manifest(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    path = folder / "slides.csv"
    path.write_text(text, encoding=encoding)
    return path


def test_a_manifest_gives_slides_mpp_and_ids(tmp_path):
    touch(tmp_path, "in/a.svs", "in/b.svs")
    path = manifest(
        tmp_path, f"Slide,mpp,id,notes\nin/a.svs,0.25,case 1,x\n{tmp_path}/in/b.svs,,,\n\ns3://b/c.svs,0.5,,\n"
    )
    found = find_slides([path])
    assert [(slide.mpp, slide.id) for slide in found.slides] == [(0.25, "case 1"), (None, "b"), (0.5, "c")]
    assert Path(found.slides[0].path) == tmp_path / "in/a.svs"


def test_spreadsheets_write_byte_order_marks_and_semicolons(tmp_path):
    found = find_slides([manifest(tmp_path, "slide;mpp\na.svs;0,25\n", "utf-8-sig")])
    assert (found.slides[0].id, found.slides[0].mpp) == ("a", 0.25)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("path\na.svs\n", "column named slide.*it has path"),
        ("", "column named slide"),
        ("slide\n", "lists no slides"),
        ("slide,mpp\na.svs,0.25\n,0.5\n", r"slides\.csv, line 3: the slide is missing"),
        ("slide,mpp\na.svs,fine\n", r"line 2: mpp is 'fine'; it must be 0\.05–20"),
        ("slide,mpp\na.svs,0.001\n", "line 2: mpp is '0.001'"),
        ("slide,id\na.svs,x\nb.svs,X\n", r"line 3: the id 'X' is given to another slide in slides\.csv, line 2"),
        ("slide,id\na.svs,../x\n", "line 2: the id '../x' cannot name a folder"),
        ("slide,id\na.svs,summary.csv\n", "cannot name a folder"),
        ("slide,mpp\na.svs,0.25\na.svs,0.5\n", "line 3: the slide .*a.svs has mpp 0.5, but 0.25 in slides.csv, line 2"),
    ],
)
def test_a_wrong_manifest_names_the_line(tmp_path, text, told):
    with pytest.raises(ConfigError, match=told):
        find_slides([manifest(tmp_path, text)])


def test_a_missing_or_foreign_manifest(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        find_slides([tmp_path / "gone.csv"])
    (tmp_path / "bytes.csv").write_bytes(b"slide\n\xff\xfe\xfa.svs\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        find_slides([tmp_path / "bytes.csv"])


@pytest.mark.parametrize(
    ("paths", "ids"),
    [
        (["/x/a.svs", "/x/b.svs"], ["a", "b"]),
        (["/x/a.svs", "/x/a.tif"], ["a-svs", "a-tif"]),
        (["/x/a.svs", "/y/a.svs"], ["a-x", "a-y"]),
        (["/x/a.svs", "/x/A.svs", "/x/b.svs"], None),
        (["/p/x/a.svs", "/q/x/a.svs"], None),
        (["/x/a.svs", "/y/a.svs", "/z/a-x.svs"], None),
        (["/x/summary.csv.svs", "/x/...svs", "/x/ü 1.svs"], ["summary.csv_", "slide", "ü 1"]),
    ],
)
def test_ids_are_stems_made_unique(paths, ids):
    found = name_slides(paths, [None] * len(paths), paths)
    assert ids is None or found == ids
    assert len({name.casefold() for name in found}) == len(paths)
    assert name_slides(paths[::-1], [None] * len(paths), paths[::-1]) == found[::-1]


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=200))
def test_a_safe_name_is_a_folder_name_and_stays_one(text):
    name = safe(text)
    assert name
    assert not set(name) & set('/\\:*?"<>|\0\n')
    assert not name.startswith((".", " "))
    assert not name.endswith((".", " "))
    assert name.casefold() not in TAKEN
    assert safe(name) == name
    assert len(name.encode()) <= 201
