"""Which slides the user means: files, folders, URLs and manifests become one list without repeats."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pathopipe.errors import ConfigError
from pathopipe.limits import LIMITS, LimitsSpec
from pathopipe.slide import dicom
from pathopipe.slide.kinds import TILE_STORE, is_output, is_slide_file, is_zarr
from pathopipe.slide.manifest import Row, read_manifest
from pathopipe.slide.naming import name_slides
from pathopipe.veil import Veil


@dataclass(frozen=True, slots=True)
class FoundSlide:
    """A slide to analyse."""

    path: str
    """Path or URL as the user gave it, or as found in a folder."""
    mpp: float | None
    """From the manifest; None where it does not say."""
    id: str
    """Name of its output folder: unique among the slides found together, whatever their order in other runs."""
    veil: Veil | None = None
    """What outputs must not tell of it (``--anonymous``); None where they may tell all."""


@dataclass(frozen=True, slots=True)
class FoundSlides:
    """What was found; slides in the order given, those of a folder sorted by path."""

    slides: tuple[FoundSlide, ...]
    ignored: dict[str, int] = field(default_factory=dict)
    """Extension to number of files in searched folders that are no slides."""
    repeated: tuple[str, ...] = ()
    """Paths that name a slide listed already (by another path, a link or a manifest)."""
    unreadable: tuple[str, ...] = ()
    """Folders that could not be searched, with the reason."""
    key_id: str | None = None
    """Of the key under which the slides have pseudonyms; None where they have their names."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on what was left out, such as "Ignored 3 files that are no slides: 2 .txt, 1 .xml."."""
        said = []
        if self.ignored:
            counts = ", ".join(f"{count} {name or 'without extension'}" for name, count in sorted(self.ignored.items()))
            total = sum(self.ignored.values())
            said.append(f"Ignored {total} file{'s' if total > 1 else ''} that are no slides: {counts}.")
        if self.repeated:
            said.append(f"Given more than once, analysed once: {', '.join(self.repeated)}.")
        if self.unreadable:
            said.append(f"Folders that could not be searched: {', '.join(self.unreadable)}.")
        return tuple(said)


def find_slides(paths: Sequence[str | Path], limits: LimitsSpec = LIMITS) -> FoundSlides:
    """Find the slides that ``paths`` mean.

    A file named explicitly is a slide whatever its extension; a folder is searched with all its subfolders, hidden
    ones left out; a ``.csv`` file is a manifest. A DICOM series, an MRXS slide with its folder, and a ``.zarr`` folder
    are one slide each. The output folders of earlier runs are not entered. A file that does not exist is listed, so
    that it fails alone.

    Raises
    ------
    ConfigError
        If a manifest is wrong, gives two slides one id or one slide two, or nothing is found at all.
    LimitError
        If a manifest is larger than ``limits`` allow.
    """
    search = _Search()
    rows: dict[str, Row] = {}
    repeated: list[str] = []
    for row in _rows(paths, search, limits):
        key = _same(row.path)
        if key not in rows:
            rows[key] = row
        else:
            _check_repeat(rows[key], row)
            repeated.append(row.path)
    if not rows:
        told = ", ".join(os.fspath(path) for path in paths) or "nothing given"
        raise ConfigError(f"no slides found in {told}")
    found = list(rows.values())
    ids = name_slides([row.path for row in found], [row.id for row in found], [row.place for row in found])
    slides = tuple(FoundSlide(row.path, row.mpp, name) for row, name in zip(found, ids, strict=True))
    return FoundSlides(slides, dict(search.ignored), tuple(repeated), tuple(search.unreadable))


def _rows(paths: Sequence[str | Path], search: _Search, limits: LimitsSpec) -> Iterator[Row]:
    for given in paths:
        text = os.fspath(given)
        path = Path(text)
        if "://" in text:
            yield Row(text, None, None, text)
        elif path.suffix.lower() == ".csv":
            yield from read_manifest(path, limits)
        elif path.is_dir() and not is_zarr(path):
            yield from (Row(str(slide), None, None, str(slide)) for slide in search.slides(path))
        else:
            yield Row(text, None, None, text)


class _Search:
    """A walk through folders that counts what it passes over."""

    def __init__(self) -> None:
        self.ignored: Counter[str] = Counter()
        self.unreadable: list[str] = []

    def slides(self, folder: Path) -> Iterator[Path]:
        """Yield the slides under ``folder``, sorted by path."""
        series: set[str] = set()
        for path in self._inside(folder):
            if path.is_dir():
                yield from self._folder(path)
            elif not is_slide_file(path):
                self.ignored[path.suffix.lower()] += 1
            elif _is_first(path, series):
                yield path

    def _inside(self, folder: Path) -> list[Path]:
        try:
            return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
        except OSError as error:
            self.unreadable.append(f"{folder} ({error.strerror})")
            return []

    def _folder(self, path: Path) -> Iterator[Path]:
        if is_zarr(path):
            if path.name != TILE_STORE:
                yield path
        elif not (_belongs_to_mrxs(path) or is_output(path) or path.is_symlink()):
            # Links to folders are not followed: they may lead in circles.
            yield from self.slides(path)


def _is_first(path: Path, series: set[str]) -> bool:
    """Return whether the slide file is not a further file of a DICOM series in ``series``, which it joins."""
    uid = dicom.series(path) if path.suffix.lower() == ".dcm" else None
    if uid is None:
        return True
    new = uid not in series
    series.add(uid)
    return new


def _belongs_to_mrxs(folder: Path) -> bool:
    return any(folder.with_name(folder.name + suffix).is_file() for suffix in (".mrxs", ".MRXS"))


def _same(path: str) -> str:
    """Return a key that two names of one slide share: links resolved, and all files of a DICOM series alike."""
    if "://" in path:
        return path
    try:
        real = Path(path).resolve()
        if real.is_dir() and not is_zarr(real):
            return str(real)
    except (OSError, RuntimeError):  # a name that is too long, links in a circle: it fails alone, when it is opened
        return path
    uid = dicom.series(real) if real.suffix.lower() == ".dcm" else None
    return f"{real.parent}\n{uid}" if uid else str(real)


def _check_repeat(first: Row, again: Row) -> None:
    """Refuse a second row for a slide that contradicts the first.

    Raises
    ------
    ConfigError
        If they give different mpp or ids.
    """
    for name, one, other in (("mpp", first.mpp, again.mpp), ("id", first.id, again.id)):
        if one is not None and other is not None and one != other:
            raise ConfigError(f"{again.place}: the slide {again.path} has {name} {other}, but {one} in {first.place}")
