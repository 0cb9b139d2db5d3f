"""The ``.csv`` manifest: which slides, at which mpp, under which id."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from pathopipe.errors import ConfigError
from pathopipe.limits import LIMITS, LimitsSpec
from pathopipe.slide.scale import HIGHEST_MPP, LOWEST_MPP, number

COLUMNS = ("slide", "mpp", "id")


@dataclass(frozen=True, slots=True)
class Row:
    """One slide of a manifest."""

    path: str
    """Path or URL; a relative path is meant from the manifest's folder and is completed here."""
    mpp: float | None
    id: str | None
    place: str
    """Where it stands, for messages: "slides.csv, line 3"."""


def read_manifest(path: Path, limits: LimitsSpec = LIMITS) -> list[Row]:
    """Read a manifest: a header with the column ``slide`` and, if wanted, ``mpp`` and ``id``; others are left alone.

    Raises
    ------
    ConfigError
        If it cannot be read, lacks the column, or a row is wrong; the message names the line.
    """
    try:
        limits.check("max_table_bytes", path.stat().st_size, f"the manifest {path}: bytes")
        # utf-8-sig: spreadsheets put a byte order mark before the header.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            # Spreadsheets write semicolons where the comma is the decimal sign.
            delimiter = ";" if ";" in stream.readline() else ","
            stream.seek(0)
            return _rows(path, csv.DictReader(stream, delimiter=delimiter))
    except OSError as error:
        raise ConfigError(f"the manifest {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"the manifest {path} is not UTF-8 text: save it as CSV UTF-8") from error
    except csv.Error as error:
        raise ConfigError(f"the manifest {path} is not CSV: {error}") from error


def _rows(path: Path, reader: csv.DictReader[str]) -> list[Row]:
    names = [name.strip().lower() for name in reader.fieldnames or []]
    if "slide" not in names:
        told = ", ".join(names) or "nothing"
        raise ConfigError(f"the manifest {path} needs a column named slide in its first line; it has {told}")
    reader.fieldnames = names
    rows = []
    for record in reader:
        values = {key: (record.get(key) or "").strip() for key in COLUMNS}
        if any(values.values()):
            rows.append(_row(path, f"{path.name}, line {reader.line_num}", values))
    if not rows:
        raise ConfigError(f"the manifest {path} lists no slides")
    return rows


def _row(manifest: Path, place: str, values: dict[str, str]) -> Row:
    if not values["slide"]:
        raise ConfigError(f"{place}: the slide is missing")
    mpp = None
    if values["mpp"]:
        mpp = number(values["mpp"].replace(",", "."))
        if mpp is None or not LOWEST_MPP <= mpp <= HIGHEST_MPP:
            raise ConfigError(
                f"{place}: mpp is {values['mpp']!r}; it must be {LOWEST_MPP:g}–{HIGHEST_MPP:g} µm per pixel"
            )
    return Row(_path(manifest, place, values["slide"]), mpp, values["id"] or None, place)


def _path(manifest: Path, place: str, name: str) -> str:
    if "\0" in name:
        raise ConfigError(f"{place}: the slide's name has a zero byte in it")
    try:
        return name if "://" in name else str(manifest.parent / Path(name).expanduser())
    except RuntimeError as error:  # "~someone" where there is no such user
        raise ConfigError(f"{place}: {name}: {error}") from None
