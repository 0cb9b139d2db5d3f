"""Ctrl-C, and SIGTERM as batch systems send it: heard wherever they come, and told in a line."""

from __future__ import annotations

import _thread
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

_AGAIN_AFTER_S = 0.1


@contextmanager
def told_when_interrupted() -> Iterator[None]:
    """Have SIGTERM end the block as Ctrl-C does, so that no process is left behind, and tell the user what to do.

    Raises
    ------
    KeyboardInterrupt
        Also where what was open in the block could not be closed after it: workers that are only starting, say.
    """
    before, hook = signal.signal(signal.SIGTERM, signal.default_int_handler), sys.unraisablehook

    def heard_again(told: sys.UnraisableHookArgs) -> None:
        # Where the collector or a weak reference calls something, Python drops what that raises, an interrupt too.
        if issubclass(told.exc_type, KeyboardInterrupt):
            _thread.start_new_thread(_interrupt_again, ())  # threading's locks may be held where this is called
        else:
            hook(told)

    sys.unraisablehook = heard_again
    try:
        yield
    except BaseException as error:
        if not _by_interrupt(error):
            raise
        print("interrupted; what is done is kept: run the same command again to go on", file=sys.stderr)
        raise KeyboardInterrupt from error
    finally:
        sys.unraisablehook = hook
        signal.signal(signal.SIGTERM, before)


def _interrupt_again() -> None:
    time.sleep(_AGAIN_AFTER_S)
    _thread.interrupt_main(signal.SIGTERM)  # which does nothing where the block has ended by then


def _by_interrupt(error: BaseException | None) -> bool:
    while error and not isinstance(error, KeyboardInterrupt):
        error = error.__context__
    return error is not None
