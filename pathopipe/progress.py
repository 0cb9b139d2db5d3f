"""What a user sees while work goes on: bars on a terminal, plain lines elsewhere, all on stderr."""

from __future__ import annotations

import sys
import time
from typing import IO, TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress

_LINE_EVERY_S = 15.0


class Progress(Protocol):
    """Told by batch and pipeline what goes on."""

    def slide(self, number: int, total: int, name: str) -> None:
        """Slide ``number`` of ``total`` begins."""
        ...

    def stage(self, name: str, total: int = 0, done: int = 0) -> None:
        """Begin a stage of the slide; with ``total`` steps, ``done`` of them done before, or of unknown length."""
        ...

    def advance(self, steps: int = 1) -> None:
        """Count ``steps`` more steps of the stage as done."""
        ...

    def note(self, text: str) -> None:
        """Show ``text`` beside the stage from now on, in the place of an earlier note."""
        ...

    def say(self, text: str) -> None:
        """Tell the user something worth a line of its own."""
        ...

    def behind(self) -> Progress:
        """Return what tells of the present slide, in a context and in any thread, while this tells of the next."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...


def show_progress(verbosity: int = 0, stream: IO[str] | None = None) -> Progress:
    """Return what suits ``stream`` (stderr by default) and ``verbosity`` (-1 quiet, 0 normal, 1 verbose)."""
    stream = stream or sys.stderr
    if verbosity < 0:
        return Silent()
    if stream.isatty():
        return Bars(stream)
    return Lines(stream)


class Silent:
    """Says nothing."""

    def slide(self, number: int, total: int, name: str) -> None:
        """See :class:`Progress`."""

    def stage(self, name: str, total: int = 0, done: int = 0) -> None:
        """See :class:`Progress`."""

    def advance(self, steps: int = 1) -> None:
        """See :class:`Progress`."""

    def note(self, text: str) -> None:
        """See :class:`Progress`."""

    def say(self, text: str) -> None:
        """See :class:`Progress`."""

    def behind(self) -> Progress:
        """See :class:`Progress`."""
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class Lines:
    """A line where something begins, and now and then one on how far it is; for logs and batch jobs."""

    def __init__(self, stream: IO[str]) -> None:
        self._stream = stream
        self._prefix = ""
        self._stage, self._total, self._done, self._note = "", 0, 0, ""
        self._began = self._told = time.monotonic()
        self._done_before = 0

    def slide(self, number: int, total: int, name: str) -> None:
        """See :class:`Progress`."""
        self._prefix = f"[{number}/{total}] {name}: "

    def stage(self, name: str, total: int = 0, done: int = 0) -> None:
        """See :class:`Progress`."""
        self._stage, self._total, self._done, self._done_before, self._note = name, total, done, done, ""
        self._began = self._told = time.monotonic()
        self.say(f"{name}: {total - done} to do{f', {done} done before' if done else ''}" if total else name)

    def advance(self, steps: int = 1) -> None:
        """See :class:`Progress`."""
        self._done += steps
        now = time.monotonic()
        if self._done_before < self._done < self._total and now - self._told >= _LINE_EVERY_S:
            self._told = now
            left = (now - self._began) / (self._done - self._done_before) * (self._total - self._done)
            self.say(f"{self._stage}: {self._done} of {self._total}{self._note}, about {left:.0f} s left")

    def note(self, text: str) -> None:
        """See :class:`Progress`."""
        self._note = f", {text}"

    def say(self, text: str) -> None:
        """See :class:`Progress`."""
        self._stream.write(f"{self._prefix}{text}\n")  # at once: another thread may tell of another slide
        self._stream.flush()

    def behind(self) -> Progress:
        """See :class:`Progress`."""
        lines = Lines(self._stream)
        lines._prefix = self._prefix
        return lines

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


class Bars:
    """A bar for the slides and one for the stage of the present slide."""

    def __init__(self, stream: IO[str]) -> None:
        self._name = ""
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as RichProgress

        self._rich = RichProgress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(file=stream),
            refresh_per_second=2,  # workers could have what a redraw takes
        )
        self._slides = self._rich.add_task("slides", visible=False)
        self._tiles = self._rich.add_task("", visible=False)
        self._stage = ""

    def slide(self, number: int, total: int, name: str) -> None:
        """See :class:`Progress`."""
        self._name = name[-40:]
        self._rich.update(self._tiles, visible=False)
        self._rich.update(
            self._slides, description=self._name, completed=number - 1, total=total, visible=total > 1, refresh=True
        )

    def stage(self, name: str, total: int = 0, done: int = 0) -> None:
        """See :class:`Progress`."""
        # A new task, since rich keeps the old total where the new one is not known.
        self._rich.remove_task(self._tiles)
        self._stage = f"  {name}"
        self._tiles = self._rich.add_task(self._stage, total=total or None, completed=done)

    def advance(self, steps: int = 1) -> None:
        """See :class:`Progress`."""
        self._rich.advance(self._tiles, steps)

    def note(self, text: str) -> None:
        """See :class:`Progress`."""
        self._rich.update(self._tiles, description=f"{self._stage}\n  {text}")  # two lines: a terminal is narrow

    def say(self, text: str) -> None:
        """See :class:`Progress`."""
        self._rich.console.print(text, markup=False, highlight=False)

    def behind(self) -> Progress:
        """See :class:`Progress`."""
        return _BarBehind(self._rich, self._name)

    def __enter__(self) -> Self:
        self._rich.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._rich.update(self._tiles, visible=False)
        self._rich.stop()


class _BarBehind:
    """A bar more, for the slide before."""

    def __init__(self, rich: RichProgress, name: str) -> None:
        self._rich, self._name = rich, name
        self._bar = rich.add_task("", visible=False)

    def slide(self, number: int, total: int, name: str) -> None:
        """See :class:`Progress`."""

    def stage(self, name: str, total: int = 0, done: int = 0) -> None:
        """See :class:`Progress`."""
        self._rich.remove_task(self._bar)
        self._bar = self._rich.add_task(f"  {self._name}: {name}", total=total or None, completed=done)

    def advance(self, steps: int = 1) -> None:
        """See :class:`Progress`."""
        self._rich.advance(self._bar, steps)

    def note(self, text: str) -> None:
        """See :class:`Progress`."""

    def say(self, text: str) -> None:
        """See :class:`Progress`."""
        self._rich.console.print(f"{self._name}: {text}", markup=False, highlight=False)

    def behind(self) -> Progress:
        """See :class:`Progress`."""
        return self

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._rich.remove_task(self._bar)


_: tuple[type[Progress], ...] = (Silent, Lines, Bars, _BarBehind)
