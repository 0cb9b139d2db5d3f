"""``--anonymous``: slides are called by keyed hashes of their names, in every output.

A hash without a key would be no pseudonym: who knows how a hospital numbers its slides can hash all the numbers. With
HMAC-SHA256 (RFC 2104, FIPS 198-1) nobody can without the key, and the same key always gives the same pseudonyms.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pathopipe.errors import ConfigError
from pathopipe.files import read_json
from pathopipe.layout import RUN, SUMMARY
from pathopipe.slide.find import FoundSlide, FoundSlides
from pathopipe.veil import GONE, Veil

DIGITS = 20
"""Hexadecimal digits of a pseudonym, 80 bits: two of a million slides share one with a chance of 4e-13."""
_KEY_BYTES = 32
_LEAST_BYTES = 16


@dataclass(frozen=True)
class Anonymity:
    """Pseudonyms of slides under one key."""

    key: bytes = field(repr=False)

    def pseudonym(self, kind: str, text: str) -> str:
        """Return the pseudonym of ``text``, which stands for something of ``kind`` ("id", "path" or "key")."""
        message = f"{kind}\0{text}".encode("utf-8", "surrogateescape")
        return hmac.new(self.key, message, hashlib.sha256).hexdigest()[:DIGITS]

    @property
    def key_id(self) -> str:
        """Tells keys apart without telling anything of them; stands in ``run.json``."""
        return self.pseudonym("key", "")

    def veiled(self, slide: FoundSlide) -> FoundSlide:
        """Return ``slide`` under its pseudonym; the outputs call its path "<pseudonym of the path>/<pseudonym>"."""
        path = slide.path if "://" in slide.path else str(Path(slide.path).absolute())
        name = self.pseudonym("id", slide.id)
        shown = f"{self.pseudonym('path', path)}/{name}"
        return replace(slide, id=name, veil=Veil(path, shown, name, slide.id))

    def over(self, found: FoundSlides) -> FoundSlides:
        """Return ``found`` with every slide under its pseudonym, and what was passed over told by numbers alone."""
        ignored = {"of any kind": sum(found.ignored.values())} if found.ignored else {}
        slides = tuple(self.veiled(slide) for slide in found.slides)
        return FoundSlides(
            slides,
            ignored,
            tuple("a slide" for _ in found.repeated),
            tuple("a folder" for _ in found.unreadable),
            self.key_id,
        )

    def table(self, found: FoundSlides) -> Iterator[tuple[str, str, str]]:
        """Yield (id, slide) as ``summary.csv`` has them and the path, for every slide of ``found``."""
        for slide in found.slides:
            veiled = self.veiled(slide)
            assert veiled.veil is not None
            yield veiled.id, veiled.veil.shown, slide.path


def read_key(path: Path, out: Path | None = None) -> Anonymity:
    """Return the anonymity of the key in ``path``.

    Parameters
    ----------
    path : Path
        A file of at least 16 bytes; its bytes but for white space at the ends are the key.
    out : Path, optional
        The output folder, in which the key must not lie.

    Raises
    ------
    ConfigError
        If it cannot be read, is too short, or lies in the output folder.
    """
    _check_place(path, out)
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"--anonymous {path}: the key cannot be read ({error.strerror})") from None
    if len(key) < _LEAST_BYTES:
        raise ConfigError(f"--anonymous {path}: a key of {len(key)} bytes is guessed too easily; 16 are the least")
    return Anonymity(key)


def make_key(path: Path, out: Path | None = None) -> bool:
    """Write a new random key to ``path``, for its owner alone to read; return whether there was none yet.

    Raises
    ------
    ConfigError
        If it cannot be written, or would lie in the output folder ``out``.
    """
    _check_place(path, out)
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigError(f"--anonymous {path}: the key cannot be written ({error.strerror})") from None
    with os.fdopen(file, "w", encoding="ascii") as stream:
        stream.write(secrets.token_hex(_KEY_BYTES) + "\n")
        stream.flush()
        os.fsync(stream.fileno())
    return True


def _check_place(path: Path, out: Path | None) -> None:
    if out is not None and path.resolve().is_relative_to(out.resolve()):
        raise ConfigError(f"--anonymous {path}: the key lies in the output folder, and would be shared with it")


def is_open(path: Path) -> bool:
    """Return whether others than its owner may read the key."""
    return os.name == "posix" and bool(path.stat().st_mode & 0o077)


def check_folder(out: Path, key_id: str | None) -> None:
    """Make sure that an output folder does not mix names and pseudonyms, or pseudonyms of two keys.

    Raises
    ------
    ConfigError
        If ``out`` holds results of another key than ``key_id``; None stands for names.
    """
    run = read_json(out / RUN)
    if run is None and not (out / SUMMARY).exists() and not any(out.glob("*/slide.json")):
        return
    before = (run or {}).get("anonymous")
    if before == key_id:
        return
    if before is None:
        told = f"{out} holds results under the slides' own names; choose another --out for --anonymous"
    elif key_id is None:
        told = f"{out} holds anonymous results; give the same --anonymous KEYFILE again, or choose another --out"
    else:
        told = f"{out} holds results of another key (run.json has {before}, the key given is {key_id}); give that key"
    raise ConfigError(told)


def shown_command(command: Sequence[str]) -> list[str]:
    """Return a command line without the values in it, which may be names: its options alone."""
    shown, options = list(command[:2]), True
    for word in command[2:]:
        options &= word != "--"
        if not (options and word.startswith("-")):
            shown.append(GONE)
        elif word.startswith("--"):
            name, equals, _ = word.partition("=")
            shown.append(f"{name}={GONE}" if equals else name)
        else:
            shown.append(word if len(word) == 2 else f"{word[:2]}{GONE}")
    return shown


def shown_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return JSON-able settings in which no folder and no address is told: of a path the last part alone."""
    return {key: _without_folders(value) for key, value in settings.items()}


def _without_folders(value: Any) -> Any:
    if isinstance(value, Mapping):
        return shown_settings(value)
    if isinstance(value, str) and "://" in value:
        return GONE
    return Path(value).name if isinstance(value, str) and "/" in value else value
