"""The features of GeoJSON files, one by one: .geojson, .json, .gz and .zip, of any tool."""

from __future__ import annotations

import gzip
import json
import zipfile
import zlib
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pathopipe.errors import GeoJSONError, LimitError
from pathopipe.limits import LIMITS

MAX_BYTES = LIMITS.max_text_bytes
"""Most bytes of one file, unpacked, that are read unless the caller allows more: a damaged or hostile archive must not
fill the memory. QuPath needs 27 bytes of memory for each of them."""
MAX_ENTRIES = 10_000
"""Most files in a .zip."""
SUFFIXES = (".geojson", ".json")

_DECODE = json.JSONDecoder().raw_decode
_BLANK = " \t\n\r"


class Text(NamedTuple):
    """One GeoJSON text."""

    entry: str
    """Its name in the .zip; empty for a file of its own."""
    text: str
    """Without a byte order mark."""


def texts(path: Path, max_bytes: int = MAX_BYTES) -> Iterator[Text | GeoJSONError]:
    """Yield the GeoJSON texts in ``path``; for a .zip entry that cannot be read the error, and go on.

    Raises
    ------
    GeoJSONError
        If the file cannot be read at all, is larger unpacked than ``max_bytes``, or is none of the known kinds.
    """
    name = path.name.lower()
    try:
        if name.endswith(".zip"):
            yield from _unzipped(path, max_bytes)
        elif name.endswith(".gz"):
            with gzip.open(path) as file:
                yield Text("", _decoded(_limited(file, max_bytes, path.name), path.name))
        elif name.endswith(SUFFIXES):
            with open(path, "rb") as file:
                yield Text("", _decoded(_limited(file, max_bytes, path.name), path.name))
        else:
            raise GeoJSONError(f"{path.name}: expected a file that ends in .geojson, .json, .gz or .zip")
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise GeoJSONError(f"{path.name} cannot be read: {error}") from error


def _unzipped(path: Path, max_bytes: int) -> Iterator[Text | GeoJSONError]:
    with zipfile.ZipFile(path) as archive:
        entries = [entry for entry in archive.infolist() if entry.filename.lower().endswith(SUFFIXES)]
        if len(entries) > MAX_ENTRIES:
            raise GeoJSONError(f"{path.name} has {len(entries)} files; no more than {MAX_ENTRIES} are read")
        for entry in entries:
            try:
                with archive.open(entry) as file:
                    data = _limited(file, max_bytes, entry.filename)
                yield Text(entry.filename, _decoded(data, entry.filename))
            except _TooLargeError:
                raise
            except (GeoJSONError, OSError, EOFError, RuntimeError, zlib.error, zipfile.BadZipFile) as error:
                # RuntimeError is what zipfile raises for an encrypted entry, NotImplementedError (one too) for an
                # unknown compression.
                yield GeoJSONError(f"{entry.filename} cannot be read: {error}")


class _TooLargeError(GeoJSONError, LimitError):
    pass


def _limited(file: BinaryIO | gzip.GzipFile | Any, max_bytes: int, name: str) -> bytes:
    data: bytes = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise _TooLargeError(
            f"{name} is larger than {max_bytes:,} bytes unpacked; if it is to be trusted, raise that with "
            "--set limits.max_text_bytes=…"
        )
    return data


def _decoded(data: bytes, name: str) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise GeoJSONError(f"{name} is not UTF-8: {error}") from error


def features(text: str) -> Iterator[Any]:
    """Yield the features of a GeoJSON text as plain JSON values, whatever they are.

    The text may be a FeatureCollection, one Feature, or an array of features. Only one feature is in memory at a time.

    Raises
    ------
    GeoJSONError
        If the text is not JSON, or none of these three; the message tells line and column. Features before the fault
        have been yielded then.
    """
    start = _skip(text, 0)
    if text.startswith("[", start):
        end = yield from _elements(text, start)
    elif text.startswith("{", start):
        end = yield from _collection(text, start)
    else:
        raise _fault(text, start, "expected a FeatureCollection, a Feature or an array of features")
    if _skip(text, end) != len(text):
        raise _fault(text, _skip(text, end), "text goes on after the end of the JSON value")


def _collection(text: str, start: int) -> Generator[Any, None, int]:
    """Yield the elements of the member "features", or the object itself where it is a Feature; return its end."""
    members: dict[str, Any] = {}
    place, has_features = _skip(text, start + 1), False
    while not text.startswith("}", place):
        if members or has_features:
            place = _expect(text, place, ",")
        if not text.startswith('"', place):
            raise _fault(text, place, "the text ends too early" if place >= len(text) else "expected a name in quotes")
        key, place = _value(text, place)
        place = _expect(text, place, ":")
        if key == "features" and text.startswith("[", place):
            place, has_features = (yield from _elements(text, place)), True
        else:
            members[key], place = _value(text, place)
        place = _skip(text, place)
    if not has_features:
        if members.get("type") != "Feature":
            raise _fault(text, start, 'the object is no Feature and has no array "features"')
        yield members
    return place + 1


def _elements(text: str, start: int) -> Generator[Any, None, int]:
    place = _skip(text, start + 1)
    if text.startswith("]", place):
        return place + 1
    while True:
        value, place = _value(text, place)
        yield value
        place = _skip(text, place)
        if text.startswith("]", place):
            return place + 1
        place = _expect(text, place, ",")


def _value(text: str, place: int) -> tuple[Any, int]:
    try:
        return _DECODE(text, place)
    except json.JSONDecodeError as error:
        raise _fault(text, error.pos, error.msg) from None
    except RecursionError:
        raise _fault(text, place, "nested too deeply") from None
    except ValueError as error:  # a number of thousands of digits
        raise _fault(text, place, str(error)) from None


def _expect(text: str, place: int, sign: str) -> int:
    if not text.startswith(sign, place):
        raise _fault(text, place, "the text ends too early" if place >= len(text) else f"expected {sign!r}")
    return _skip(text, place + 1)


def _skip(text: str, place: int) -> int:
    while place < len(text) and text[place] in _BLANK:
        place += 1
    return place


def _fault(text: str, place: int, what: str) -> GeoJSONError:
    line = text.count("\n", 0, place) + 1
    column = place - text.rfind("\n", 0, place)
    return GeoJSONError(f"line {line}, column {column}: {what}")
