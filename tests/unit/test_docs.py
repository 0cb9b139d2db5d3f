"""What the documentation shows must exist: commands, options, files, and code that runs."""

from __future__ import annotations

import re
import shlex
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml

from pathopipe.batch.summary import COLUMNS
from pathopipe.cli.app import app
from pathopipe.config import load_config
from pathopipe.layout import SlideFolder
from pathopipe.scores.base import ScoreContext

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *(ROOT / "workflows").rglob("*.md"), ROOT / "README.md"])
COMMANDS = typer.main.get_command(app).commands


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def calls() -> list[tuple[str, list[str]]]:
    found = []
    for page in PAGES:
        for block in blocks(page, "(?:bash|sh|console)"):
            for line in block.replace("\\\n", " ").splitlines():
                match = re.search(r"(?:^|[\s/])pathopipe ([a-z].*)", re.sub(r"(^|\s)#.*", "", line))
                if match:
                    found.append((page.name, shlex.split(match[1])))
    return found


@pytest.mark.parametrize(("page", "words"), calls(), ids=lambda value: value if isinstance(value, str) else value[0])
def test_commands_and_options_exist(page, words):
    command, *rest = words
    assert command in COMMANDS, f"{page}: pathopipe {command}"
    options = {name for option in COMMANDS[command].params for name in (*option.opts, *option.secondary_opts)}
    for word in rest:
        if word.startswith("-"):
            assert word.partition("=")[0] in options, f"{page}: pathopipe {command} {word}"
    settings = [value for word, value in pairwise(rest) if word == "--set" and command == "run"]
    load_config(settings=settings)


def test_there_are_commands_to_check():
    assert len(calls()) > 10


def test_the_score_example_runs():
    code = next(code for code in blocks(ROOT / "docs" / "extending.md", "python") if "large_nuclei" in code)
    names: dict = {}
    exec(code, names)
    areas = np.array([50.0, 150.0, 101.0, 99.0])
    zeros = np.zeros(4, np.uint8)
    (score,) = names["large_nuclei"](ScoreContext(areas, zeros, ("Nucleus",), zeros.astype(np.float32), 1, 1, 0.5))
    assert score.value == 50
    (none,) = names["large_nuclei"](ScoreContext(areas[:0], zeros[:0], ("N",), np.zeros(0, np.float32), 1, 1, 0.5))
    assert none.reason


def test_output_page_names_every_file_and_column():
    page = (ROOT / "docs" / "output.md").read_text(encoding="utf-8")
    folder = SlideFolder(Path("x"))
    for path in (*folder.results, folder.record, folder.tiles, folder.instances, folder.log):
        assert path.name in page
    for column in COLUMNS:
        assert f"`{column}`" in page


def test_files_that_pages_name_exist():
    for page in PAGES:
        for name in re.findall(r"`((?:configs|workflows|pathopipe)/[\w./-]+?)/?`", page.read_text(encoding="utf-8")):
            assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_the_site_loads_nothing_from_elsewhere():
    settings = re.sub(r"!!python\S+", "", (ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    values = yaml.safe_load(settings)
    assert values["theme"]["font"] is False
    assert not any("http" in str(values.get(key)) for key in ("extra_css", "extra_javascript"))
