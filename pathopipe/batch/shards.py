"""One part of the slides for each of several runs into one output folder: ``--shard 2/8``."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

from pathopipe.errors import ConfigError
from pathopipe.slide.find import FoundSlides

MOST = 10_000
"""Parts that the slides may be cut into."""


@dataclass(frozen=True, slots=True)
class Shard:
    """Part ``index`` (from 1) of ``of`` parts."""

    index: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the shard that ``text`` names, such as "2/8".

        Raises
        ------
        ConfigError
            If it is not of that form, or names no part: the first is 1.
        """
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip(), re.ASCII)
        index, of = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= index <= of <= MOST:
            raise ConfigError(
                f"--shard {text}: expected part/parts with 1 ≤ part ≤ parts ≤ {MOST}, such as 1/8 to 8/8 "
                "(an array job that counts from 0 needs $((SLURM_ARRAY_TASK_ID + 1)))"
            )
        return cls(index, of)

    def __str__(self) -> str:
        return f"{self.index}/{self.of}"

    def part_of(self, found: FoundSlides) -> FoundSlides:
        """Return ``found`` with this shard's slides only, in the order they had.

        The slides are dealt like cards by their ids in alphabetical order, so every shard gets as many as the others,
        give or take one, whatever order the slides were named in.
        """
        own = frozenset(sorted(slide.id for slide in found.slides)[self.index - 1 :: self.of])
        return replace(found, slides=tuple(slide for slide in found.slides if slide.id in own))
