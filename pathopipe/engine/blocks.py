"""What workers do with the cells of a slide after the stitching: measure and write them, a block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pathopipe.annotations.ids import Counts
from pathopipe.annotations.spec import AnnotationSpec
from pathopipe.annotations.write import Made, Written, make_block
from pathopipe.engine.base import Executor
from pathopipe.engine.worker import open_instances
from pathopipe.errors import SlideError
from pathopipe.instances import Instances
from pathopipe.models.stain import COLOURS
from pathopipe.slide.base import SlideInfo
from pathopipe.stopwatch import timed
from pathopipe.tiling.grid import Tile

Found = tuple[Tile, NDArray[np.int32]]
"""A tile, and (n,) which of all that was found in it."""


@dataclass(frozen=True)
class Block:
    """Some of the slide's cells that lie one after the other in its files."""

    number: int
    """From 0, in the order of the files."""
    cells: tuple[Found, ...]
    """Where the workers find them."""
    earlier: tuple[int, ...] = ()
    """See :func:`~pathopipe.annotations.write.make_block`."""

    def __str__(self) -> str:
        names = dict.fromkeys(tile.name for tile, _ in (*self.cells[:1], *self.cells[-1:]))
        return f"cells of {' to '.join(names) or 'no tile'}"


def in_blocks(found: Iterable[Found], size: int) -> Iterator[Block]:
    """Divide cells into blocks of ``size``, the last with fewer; at least one block, which may be empty."""
    number, held, count = 0, list[Found](), 0
    for tile, index in found:
        while count + len(index) >= size:
            taken, index = np.split(index, [size - count])
            yield Block(number, (*held, (tile, taken)))
            number, held, count = number + 1, [], 0
        if len(index) or not (held or number):  # a tile without cells tells what is measured of cells
            held.append((tile, index))
            count += len(index)
    if held or not number:
        yield Block(number, tuple(held))


@dataclass(frozen=True)
class WriteBlock:
    """The task of the writing: a block in, its two files out."""

    instances: Path
    """Folder of the tiles' instance files."""
    fingerprint: str
    """Theirs."""
    classes: tuple[str, ...]
    """The model's."""
    folder: Path
    """Where the block's files go."""
    info: SlideInfo
    spec: AnnotationSpec

    def __call__(self, block: Block) -> Made:
        """Write ``block``; the same one gives the same bytes, however often."""
        with timed("write"):
            store = open_instances(self.instances, self.fingerprint)
            parts = [store.get(tile).take(index) for tile, index in block.cells] or [Instances.empty(self.classes)]
            cells = Instances.concat(parts).without_measurements(*COLOURS)
            return make_block(self.folder / f"{block.number:06d}", cells, self.info, self.spec, block.earlier)


def write_blocks(task: WriteBlock, blocks: Iterable[Block], engine: Executor, add: Callable[[Made], None]) -> Written:
    """Have ``blocks`` written by the workers, and ``add`` each in its order as soon as it is there.

    ``blocks`` are taken as workers get free, so that who makes them need not hold them all.

    Raises
    ------
    SlideError
        If a block ends its worker twice.
    """
    order = _InOrder(task, add)
    engine.each(task, blocks, order.done, _lost)
    return order.count


def _lost(block: Block, reason: str) -> None:
    raise SlideError(f"{block} cannot be written: {reason}; run again with fewer workers (--workers)")


class _InOrder:
    """Takes blocks as they come and passes them on in their order."""

    def __init__(self, task: WriteBlock, add: Callable[[Made], None]) -> None:
        self.count = Written(0, 0, 0)
        """Of what was passed on."""
        self._task, self._add = task, add
        self._keys, self._waiting, self._next = Counts(), dict[int, tuple[Block, Made]](), 0

    def done(self, block: Block, made: Made) -> None:
        self._waiting[block.number] = block, made
        while self._next in self._waiting:
            self._pass_on(*self._waiting.pop(self._next))
            self._next += 1

    def _pass_on(self, block: Block, made: Made) -> None:
        earlier = self._keys.earlier(made.keys)
        if earlier:  # as good as never: ids depend on how often an outline was there before, which no worker knows
            made = self._task(replace(block, earlier=earlier))
        self._keys.add(made.keys)
        self._add(made)
        made.remove()
        self.count = Written(*(one + more for one, more in zip(self.count, made.count, strict=True)))
