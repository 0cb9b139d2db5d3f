"""``run.json`` of shards: several runs tell of themselves in one file, and it says when all of them have ended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pathopipe.batch.holding import begin_round, round_of, running
from pathopipe.batch.shards import Shard
from pathopipe.errors import OutputInUseError
from pathopipe.files import read_json
from pathopipe.layout import RUN
from pathopipe.slide.find import FoundSlides
from pathopipe.spec import fingerprint


def join(out: Path, about: Mapping[str, Any], found: FoundSlides, shard: Shard) -> dict[str, Any]:
    """Begin the work on ``shard``, which this run holds; return what ``run.json`` then has to hold. In one's turn.

    Shards belong to one round if they were given the same slides, settings (but for the engine's) and model.

    Parameters
    ----------
    out : Path
        The output folder, held by this run.
    about : mapping
        What the file of a run without shards would hold.
    found : FoundSlides
        All slides, those of the other shards too.
    shard : Shard
        Which of them this run does.

    Raises
    ------
    OutputInUseError
        If shards of another round are at work: some slides could be in no shard, or done in two ways.
    """
    asked = fingerprint(
        {
            "of": shard.of,
            "slides": sorted((slide.id, slide.mpp) for slide in found.slides),
            "config": {section: keys for section, keys in about["config"].items() if section != "engine"},
            "model": about["model"],
        }
    )
    # One that has not begun yet, as where several start at once, is refused itself if it is of another round.
    others = [each for each in running(out) if each != shard and round_of(out, each) not in (None, asked)]
    if others:
        raise OutputInUseError(
            f"shard {others[0]} is at work with other slides, settings or another model than shard {shard} was given; "
            "wait for it to end, and name the slides in a .csv where folders may change"
        )
    begin_round(out, shard, asked)
    own = {key: about[key] for key in ("command", "machine", "arithmetic", "started", "finished")}
    return _summed(about, shard.of, asked, (_parts(out, asked) or {}) | {str(shard.index): own})


def leave(out: Path, begun: Mapping[str, Any], shard: Shard, finished: str) -> dict[str, Any]:
    """Return what ``run.json`` has to hold once ``shard`` has ended; call it in one's turn.

    Parameters
    ----------
    out : Path
        The output folder.
    begun : mapping
        What :func:`join` returned.
    shard : Shard
        Which one has ended.
    finished : str
        When.
    """
    asked = begun["shards"]["round"]
    parts = _parts(out, asked) or begun["shards"]["parts"]
    own = begun["shards"]["parts"][str(shard.index)] | {"finished": finished}
    return _summed(begun, shard.of, asked, parts | {str(shard.index): own})


def apart(about: Mapping[str, Any], shard: Shard) -> str | None:
    """Return what is to be told where shards of the round of ``about`` compute in another way than ``shard`` does.

    Each slide is computed in one way, but cells of two slides may then differ for this reason alone.
    """
    parts, own = about["shards"]["parts"], about["arithmetic"]
    others = {number: part["arithmetic"] for number, part in parts.items() if part.get("arithmetic", own) != own}
    if not others:
        return None
    number, word = next(iter(others.items()))
    return (
        f"shard {number}/{shard.of} computes in {word}, this one in {own}, and cells differ slightly between them; for "
        "slides that are to be compared give all shards --set model.int8=off --set model.bf16=off --device cpu"
    )


def _parts(out: Path, asked: str) -> dict[str, Any] | None:
    """Return what the file tells of the shards of this round; None if it tells of another round or of none."""
    told = (read_json(out / RUN) or {}).get("shards")
    return dict(told["parts"]) if isinstance(told, dict) and told.get("round") == asked else None


def _summed(about: Mapping[str, Any], of: int, asked: str, parts: dict[str, Any]) -> dict[str, Any]:
    ended = [part["finished"] for part in parts.values() if part["finished"]]
    shards = {"of": of, "finished": len(ended), "round": asked, "parts": dict(sorted(parts.items(), key=_number))}
    started = min(part["started"] for part in parts.values())
    return {**about, "started": started, "finished": max(ended) if len(ended) == of else None, "shards": shards}


def _number(part: tuple[str, Any]) -> int:
    return int(part[0])
