"""What may be told of where a slide lies: all of it, or nothing but a pseudonym."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

SHORTEST = 3
"""Characters of the shortest name that is replaced inside a text: shorter ones are parts of common words."""
GONE = "…"
"""What stands in the place of other paths of a hidden slide's folder."""


@dataclass(frozen=True)
class Veil:
    """Takes a slide's path, file name and id out of texts that are written down.

    Errors of libraries name files as they please, so the texts are searched for every form of the names.
    """

    slide: str
    """Absolute path, or URL."""
    shown: str
    """What stands in the place of the path."""
    name: str
    """What stands in the place of the file's name, its stem and the slide's own id: the pseudonym."""
    own_id: str
    """The slide's id without the veil."""

    def over(self, value: Any) -> Any:
        """Return a JSON-able ``value`` with the names replaced in all its texts; keys stay."""
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {key: self.over(inner) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self.over(inner) for inner in value]
        return value

    def _text(self, text: str) -> str:
        for pattern, told in self._patterns:
            text = pattern.sub(told, text)
        return text

    @cached_property
    def _patterns(self) -> tuple[tuple[re.Pattern[str], str], ...]:
        """Return what is searched for, and what is put there: the longest forms first."""
        whole = [(re.compile(re.escape(path)), self.shown) for path in _forms(_paths(self.slide))]
        # A name beside the slide may be another patient's, and may have spaces: all is taken up to the next mark.
        beside = [(re.compile(re.escape(folder) + r"/?[^'\"\n;:()]*"), GONE) for folder in _forms(self._folders())]
        names = [
            (re.compile(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])"), self.name)
            for name in _forms(self._names())
            if len(name) >= SHORTEST
        ]
        return (*whole, *beside, *names)

    def _folders(self) -> Iterator[str]:
        for path in _paths(self.slide):
            folder = path.rpartition("/")[0]
            if folder.strip("/") and not folder.endswith(":/"):
                yield folder

    def _names(self) -> Iterator[str]:
        yield self.own_id
        for path in _paths(self.slide):
            name = path.rstrip("/").rpartition("/")[2]
            yield name
            while "." in name.lstrip("."):
                name = name.rpartition(".")[0]
                yield name


def _paths(slide: str) -> Iterator[str]:
    yield slide
    if "://" in slide:
        yield urlsplit(slide)._replace(query="", fragment="").geturl()
        yield urlsplit(slide).netloc + urlsplit(slide).path
    else:
        yield str(Path(slide).resolve())


def _forms(texts: Iterator[str]) -> list[str]:
    """Return the texts and how they are written as part of a URL or a Python literal, longest first."""
    found = {form for text in texts for form in (text, quote(text), unquote(text), repr(text)[1:-1]) if form}
    return sorted(found, key=lambda form: (-len(form), form))
