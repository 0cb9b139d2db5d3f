from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from pathopipe.errors import StoreError
from pathopipe.report import figures
from pathopipe.report.page import write_report
from pathopipe.scores.base import Histogram, Score, ScoreContext
from pathopipe.scores.files import write_scores
from pathopipe.scores.run import compute_scores

EVIL = "<script>alert(1)</script>"
VOID = {"meta", "img", "br", "link", "input", "hr"}


class Page(HTMLParser):
    """Checks that tags are closed, and keeps what the tests look at."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.scripts: list[str] = []
        self.feed(html)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open[-1:] == ["script"]:
            self.scripts.append(data)
        elif self.open[-1:] != ["style"]:
            self.words.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())

    def all(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def add_slide(out, name, status="complete", areas=(), tissue_mm2=2.0, slide=None, picture=True, **record):
    folder = out / name
    folder.mkdir()
    areas = np.asarray(areas, np.float64)
    zeros = np.zeros(len(areas), np.uint8)
    context = ScoreContext(areas, zeros, ("Nucleus",), zeros.astype(np.float32), tissue_mm2, tissue_mm2, 0.5)
    if status in ("complete", "incomplete"):
        write_scores(folder / "scores.json", compute_scores(context))
        if picture:
            Image.new("RGB", (2000, 1000), (200, 120, 160)).save(folder / "overview.png")
    values = {"id": name, "slide": slide or f"/slides/{name}.svs", "status": status, "error": None}
    values |= {"cells": len(areas) if status in ("complete", "incomplete") else None} | record
    (folder / "slide.json").write_text(json.dumps(values), encoding="utf-8")


def add_run(out, **values):
    run = {"command": ["pathopipe", "run", "a b.svs"], "finished": "2026-01-01T00:00:00+00:00"} | values
    (out / "run.json").write_text(json.dumps(run), encoding="utf-8")


def read(out):
    return Page(write_report(out).read_text(encoding="utf-8"))


@pytest.fixture
def out(tmp_path):
    """An output folder with every kind of slide."""
    add_run(
        tmp_path,
        model={"name": "nuclei", "version": "7"},
        versions={"pathopipe": "0.0.9"},
        slides={"found": 5, "ignored": {".txt": 2, "": 1}},
        config={"grid": {"tile_px": 1024}},
    )
    seconds = {"tissue": 1.0, "cells": 61.0}
    worked = {
        "workers": 2,
        "worker_seconds": {"decode": 20.0, "infer": 100.0, "idle": 2.0},
        "bottleneck": "The network took 82% of the workers' time.",
    }
    add_slide(tmp_path, "good", areas=np.linspace(20, 120, 500), seconds=seconds, tiles=12, mpp=0.5, **worked)
    add_slide(
        tmp_path,
        "part",
        "incomplete",
        areas=[50.0] * 3,
        error="1 tiles could not be analysed: broken JPEG",
        tiles_failed=[{"tile": "r0001_c0002", "core": [0, 0, 1, 1], "error": "broken JPEG"}],
    )
    add_slide(tmp_path, "empty", tissue_mm2=0.0, picture=False)
    add_slide(tmp_path, "evil", "failed", slide=f"s3://b/{EVIL}.svs", error=f"no reader opens {EVIL}")
    (tmp_path / "summary.csv").write_text(
        "id,slide,status,error\ngood,/slides/good.svs,complete,\nlost,/slides/lost.svs,failed,no such file\n",
        encoding="utf-8",
    )
    return tmp_path


def test_the_page_tells_of_every_slide_bad_ones_first(out):
    page = read(out)
    assert len(page.all("article")) == 5
    told = page.text.partition("What went wrong")[2]
    places = [told.index(word) for word in ("no reader opens", "no such file", "broken JPEG", "good.svs")]
    assert places == sorted(places)
    assert "5 slides: 2 complete , 1 incomplete , 2 failed" in page.text.replace(",", " ,").replace("  ", " ")


def test_the_page_tells_where_the_workers_time_went(out):
    text = read(out).text
    assert "2 workers, their time together" in text
    assert "infer 1 min 40 s" in text
    assert "The network took 82% of the workers' time." in text


def test_the_page_has_scores_with_units_intervals_and_reasons(out):
    text = read(out).text
    assert re.search(r"Cells per mm² 250 cells/mm² 500 / 2 229 – 273", text)
    assert "Nucleus area median 70 µm²" in text
    assert "none: no tissue was found" in text
    assert "r0001_c0002: broken JPEG" in text
    assert "no slides: 2 .txt, 1 without extension" in text
    assert "pathopipe run 'a b.svs'" in text
    assert "name nuclei, version 7" in text


def test_names_and_errors_cannot_inject(out):
    html = write_report(out).read_text(encoding="utf-8")
    assert EVIL not in html
    page = Page(html)
    assert len(page.scripts) == 1
    assert f"no reader opens {EVIL}" in page.text


def test_only_the_page_s_own_script_may_run(out):
    page = read(out)
    policy = next(meta["content"] for meta in page.all("meta") if meta.get("http-equiv"))
    digest = base64.b64encode(hashlib.sha256(page.scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert not any(name.startswith("on") for _, attrs in page.tags for name in attrs)


def test_nothing_is_loaded_from_outside(out):
    html = write_report(out).read_text(encoding="utf-8")
    page = Page(html)
    assert not re.search(r"(src|href)=\"?(https?:|//)", html)
    assert "url(" not in html.split("</style>")[0]
    assert "@import" not in html
    assert not page.all("link")
    assert all(image["src"].startswith("data:image/jpeg;base64,") for image in page.all("img"))
    assert all(link["href"].startswith(("#", "./")) for link in page.all("a"))


def test_links_lead_to_files_that_are_there(out):
    add_slide(out, "ä #1%2F", areas=[50.0])
    from urllib.parse import unquote

    links = [link["href"] for link in read(out).all("a") if link["href"].startswith("./")]
    assert any("%23" in link for link in links)
    assert all((out / unquote(link)).is_file() for link in links)


def test_pictures_are_inlined_in_bounded_size(out):
    sources = [image["src"] for image in read(out).all("img")]
    assert len(sources) == 2
    with Image.open(io.BytesIO(base64.b64decode(sources[0].partition(",")[2]))) as image:
        assert image.size == (1600, 800)
    assert figures.picture_side_px(10) == 1600
    assert 240 <= figures.picture_side_px(400) < 600
    assert figures.picture_side_px(1_000_000) == 240


def test_a_broken_picture_is_left_out(out):
    (out / "good" / "overview.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (out / "part" / "overview.png").write_bytes((out / "part" / "overview.png").read_bytes()[:200])
    assert not read(out).all("img")


def test_broken_scores_are_told(out):
    (out / "good" / "scores.json").write_text("{", encoding="utf-8")
    assert "scores.json is missing or is not JSON" in read(out).text


def test_a_record_of_surprising_types_is_survived(out):
    add_slide(
        out,
        "odd",
        areas=[50.0],
        seconds=[1],
        worker_seconds="long",
        workers="two",
        bottleneck=[1],
        tiles="many",
        tiles_failed={"a": 1},
        info=None,
        mpp="x",
        slide=None,
    )
    assert "odd" in read(out).text


@pytest.mark.parametrize("status", ["failed", "incomplete"])
def test_what_is_left_of_an_earlier_run_is_not_shown(tmp_path, status):
    add_run(tmp_path)
    add_slide(tmp_path, "a", areas=[50.0] * 100)
    record = {"id": "a", "slide": "/slides/a.svs", "status": status, "error": "not finished", "cells": None}
    (tmp_path / "a" / "slide.json").write_text(json.dumps(record), encoding="utf-8")
    page = read(tmp_path)
    assert "not finished" in page.text
    assert "Cells per mm²" not in page.text
    assert not page.all("img")
    assert [link["href"] for link in page.all("a") if link["href"][0] == "."] == ["./a/slide.json"]


def test_a_run_that_did_not_end_is_told(out):
    add_run(out, finished=None)
    assert "did not come to its end" in read(out).text


def test_shards_that_are_still_to_come_are_told(out):
    add_run(out, finished=None, shards={"of": 8, "finished": 3, "parts": {}})
    assert "3 of 8 shards have come to their end" in read(out).text


def test_a_summary_alone_is_enough(tmp_path):
    (tmp_path / "summary.csv").write_text("id,slide,status,error\na,/x/a.svs,failed,broken\n", encoding="utf-8")
    text = read(tmp_path).text
    assert "a.svs" in text
    assert "broken" in text


def test_a_run_without_slides_has_a_page(tmp_path):
    add_run(tmp_path)
    assert "0 slides" in read(tmp_path).text


def test_a_foreign_folder_is_refused(tmp_path):
    with pytest.raises(StoreError, match="holds no results"):
        write_report(tmp_path)


def test_the_same_folder_gives_the_same_page(out):
    first = write_report(out).read_bytes()
    assert write_report(out).read_bytes() == first


def test_the_density_of_all_slides_divides_sums(tmp_path):
    add_run(tmp_path)
    add_slide(tmp_path, "a", areas=[50.0] * 100, tissue_mm2=1.0)
    add_slide(tmp_path, "b", areas=[50.0] * 100, tissue_mm2=3.0)
    assert "50 cells/mm², all slides together" in read(tmp_path).text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (1234567, "1,234,567"),
        (12.345, "12.3"),
        (0.012345, "0.0123"),
        (999.6, "1000"),
        (1234.5, "1,234"),
        (-3.14159, "-3.14"),
    ],
)
def test_number(value, text):
    assert figures.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "–"), (0.04, "0.0 s"), (9.99, "10 s"), (59.7, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_duration(seconds, text):
    assert figures.duration(seconds) == text


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("cells_per_mm2", "Cells per mm²"),
        ("tissue_mm2", "Tissue"),
        ("nucleus_area_um2_median", "Nucleus area median"),
        ("cells_per_mm2_tumor", "Cells per mm² tumor"),
    ],
)
def test_label(name, text):
    assert figures.label(name) == text


def test_histogram_bars_are_as_tall_as_their_counts():
    histogram = Histogram(tuple(float(edge) for edge in range(0, 101, 10)), (0, 5, 10, 0, 0, 0, 0, 0, 0, 1), 2)
    chart = figures.histogram_chart(Score("a", 25.0, "µm²", interval=(20.0, 30.0), histogram=histogram))
    assert [bar.height for bar in chart.bars[:3]] == [0, 50, 100]
    assert chart.bars[2].title == "20 to 30 µm²: 10"
    assert chart.median_x == 100
    assert chart.band == (80, 40)
    assert chart.above == "2 at 100 µm² or more"
    assert figures.histogram_chart(Score("a", 1.0, "µm²", histogram=Histogram((0.0, 1.0), (0,)))) is None


def test_stages_add_up():
    parts = figures.stages({"tissue": 1.0, "cells": 3.0})
    assert [part.percent for part in parts] == [25, 75]
    assert figures.stages({"tissue": 0.0}) == ()
