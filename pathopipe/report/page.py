"""``report.html``: what came out of a run, on one page that opens offline."""

from __future__ import annotations

import base64
import hashlib
import json
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from pathopipe.files import write_text
from pathopipe.layout import REPORT
from pathopipe.report import figures
from pathopipe.report.gather import FolderResult, SlideResult, gather


def write_report(folder: Path) -> Path:
    """Write the report of an output folder, made from what lies in the folder and from nothing else.

    Parameters
    ----------
    folder : Path
        Output folder of a run.

    Returns
    -------
    Path
        The page: one HTML file without external scripts, fonts or images.

    Raises
    ------
    StoreError
        If the folder holds no results.
    """
    path = folder / REPORT
    write_text(path, render(gather(folder)))
    return path


def render(result: FolderResult) -> str:
    """Return the page as HTML. Equal folders give equal pages."""
    environment = Environment(
        loader=PackageLoader("pathopipe.report"),
        autoescape=True,  # names of slides and messages of errors are not ours
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "number": figures.number,
        "counted": figures.counted,
        "duration": figures.duration,
        "label": figures.label,
        "interval": figures.interval,
        "chart": figures.histogram_chart,
        "stages": figures.stages,
        "url": _url,
    }
    script = _source(environment, "report.js")
    pictures = {slide.id: slide.folder.overview for slide in result.slides if slide.analysed}
    side_px = figures.picture_side_px(len(pictures))
    return environment.get_template("report.html.j2").render(
        result=result,
        bad=[slide for slide in result.slides if slide.bad],
        density=_overall_density(result),
        seconds=_summed(result.slides),
        pictures={name: figures.data_uri(path, side_px) for name, path in pictures.items()},
        run=_run_facts(result.run),
        config=_as_json(result.run.get("config")),
        style=_source(environment, "report.css"),
        script=script,
        # The page may run this script and no other, whatever a slide is called.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii"),
    )


def _source(environment: Environment, name: str) -> str:
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0]


def _url(slide: SlideResult, name: str) -> str:
    """Return the address of a slide's file, relative to the page."""
    return f"./{quote(slide.id, safe='')}/{quote(name, safe='')}"


def _overall_density(result: FolderResult) -> float | None:
    """Return the cells of all slides per mm² of their analysed tissue; None where that cannot be told."""
    scores = [score for slide in result.slides if (score := slide.score("cells_per_mm2")) and score.value is not None]
    cells = sum(score.numerator or 0 for score in scores)
    area = sum(score.denominator or 0 for score in scores)
    return cells / area if area > 0 else None


def _summed(slides: tuple[SlideResult, ...]) -> dict[str, float]:
    total: dict[str, float] = {}
    for slide in slides:
        for stage, seconds in slide.seconds.items():
            total[stage] = total.get(stage, 0.0) + seconds
    return total


def _run_facts(run: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return what is told of the run at the page's end: title and text."""
    facts = []
    command = run.get("command")
    if isinstance(command, list):
        facts.append(("Command", shlex.join(str(word) for word in command)))
    elif command:
        facts.append(("Command", str(command)))
    facts += [(key.capitalize(), str(run[key])) for key in ("started", "finished") if run.get(key)]
    for key in ("model", "versions", "machine"):
        values = run.get(key)
        if isinstance(values, dict):
            facts.append((key.capitalize(), ", ".join(f"{name} {value}" for name, value in values.items())))
    return facts


def _as_json(values: object) -> str:
    return json.dumps(values, indent=2, ensure_ascii=False) if isinstance(values, dict) else ""
