"""Ids of slides: names of their output folders, readable, safe and unique."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from urllib.parse import urlsplit

from pathopipe.errors import ConfigError

TAKEN = frozenset(("summary.csv", "report.html", "run.json"))
"""What the output folder itself holds; its hidden files cannot clash, for ids never start with a dot."""
_ENDINGS = (".ome.tiff", ".ome.tif", ".ome.zarr")
LONGEST = 200
"""Bytes of UTF-8; file systems take 255, and a suffix may follow."""


def name_slides(paths: Sequence[str], wanted: Sequence[str | None], places: Sequence[str]) -> list[str]:
    """Return an id for every slide.

    It is the file's stem. Where several share one (whatever the case: some file systems do not tell them apart), each
    of them gets added what tells them apart: its extension, its folder, or a digest of its path.

    Parameters
    ----------
    paths : sequence of str
        Paths or URLs, all different.
    wanted : sequence of str or None
        Ids from a manifest, which must be unique and safe as they are.
    places : sequence of str
        Where each stands, for messages.

    Raises
    ------
    ConfigError
        If a wanted id is not safe as a folder's name, or is wanted twice.
    """
    taken = _check_wanted(wanted, places)
    groups: dict[str, list[str]] = {}
    for path, name in zip(paths, wanted, strict=True):
        if name is None:
            groups.setdefault(safe(stem(path)).casefold(), []).append(path)
    ids: dict[str, str] = {}
    # Unshared stems first: they keep their plain names whatever the others need.
    for group in sorted(groups.values(), key=len):
        names = next(names for names in _proposals(group) if _are_free(names, taken))
        taken.update(name.casefold() for name in names)
        ids.update(zip(group, names, strict=True))
    return [name or ids[path] for path, name in zip(paths, wanted, strict=True)]


def _proposals(paths: list[str]) -> Iterator[list[str]]:
    """Yield ids for slides that share a stem, from the plainest to one that cannot clash."""
    stems = [safe(stem(path)) for path in paths]
    where = [PurePath(urlsplit(path).path if "://" in path else path) for path in paths]
    yield stems
    yield [f"{name}-{safe(place.suffix[1:] or 'none')}" for name, place in zip(stems, where, strict=True)]
    yield [f"{name}-{safe(place.parent.name)}" for name, place in zip(stems, where, strict=True)]
    for digits in range(8, 65):
        yield [f"{name}-{_digest(path)[:digits]}" for name, path in zip(stems, paths, strict=True)]


def _are_free(names: list[str], taken: set[str]) -> bool:
    folded = {name.casefold() for name in names}
    return len(folded) == len(names) and not folded & taken


def stem(path: str) -> str:
    """Return the slide's name without folder and extension: "CMU-1" for ".../CMU-1.ome.tiff"."""
    tail = urlsplit(path).path if "://" in path else path
    name = Path(tail.rstrip("/")).name
    for ending in _ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return Path(name).stem


def safe(name: str) -> str:
    """Return ``name`` as a folder may be called: no separators or control characters, no dot in front.

    Nor a sign by which a spreadsheet knows a formula, and a command line an option: ids are in ``summary.csv``.
    """
    kept = "".join("_" if sign in '/\\:*?"<>|' or not sign.isprintable() else sign for sign in name)
    kept = kept.strip().encode()[:LONGEST].decode(errors="ignore").rstrip(" .")
    if kept.startswith((".", "=", "+", "-", "@")):
        kept = "_" + kept[1:]
    return f"{kept}_" if kept.casefold() in TAKEN else kept or "slide"


def _check_wanted(wanted: Sequence[str | None], places: Sequence[str]) -> set[str]:
    seen: dict[str, str] = {}
    for name, place in zip(wanted, places, strict=True):
        if name is None:
            continue
        if safe(name) != name:
            raise ConfigError(f"{place}: the id {name!r} cannot name a folder; use {safe(name)!r}")
        if name.casefold() in seen:
            raise ConfigError(f"{place}: the id {name!r} is given to another slide in {seen[name.casefold()]}")
        seen[name.casefold()] = place
    return set(seen)


def _digest(path: str) -> str:
    where = path if "://" in path else str(Path(path).resolve())
    return hashlib.sha256(where.encode("utf-8", "surrogateescape")).hexdigest()
