"""An interrupt is heard and told, wherever in Python and dask it comes."""

from __future__ import annotations

import signal
import time

import pytest

from pathopipe.cli.interrupt import told_when_interrupted

SAID = "interrupted; what is done is kept: run the same command again to go on\n"


class Ended:
    """Is ended by a batch system while Python collects it."""

    def __del__(self):
        signal.raise_signal(signal.SIGTERM)


def test_sigterm_ends_the_block_and_is_told(capsys):
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), told_when_interrupted():
        signal.raise_signal(signal.SIGTERM)
    assert capsys.readouterr().err == SAID
    assert signal.getsignal(signal.SIGTERM) is before


def lose_an_interrupt():
    ended = Ended()
    del ended
    for _ in range(100):
        time.sleep(0.1)
    pytest.fail("it was never heard of again")


def fail_to_close_after_an_interrupt():
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        raise UnboundLocalError("result")


def test_an_interrupt_that_python_drops_comes_again(capsys):
    with pytest.raises(KeyboardInterrupt), told_when_interrupted():
        lose_an_interrupt()
    assert capsys.readouterr().err == SAID


def test_what_cannot_be_closed_after_an_interrupt_is_no_error_of_its_own(capsys):
    with pytest.raises(KeyboardInterrupt), told_when_interrupted():
        fail_to_close_after_an_interrupt()
    assert capsys.readouterr().err == SAID


def test_other_errors_are_left_as_they_are(capsys):
    with pytest.raises(ValueError, match="no interrupt"), told_when_interrupted():
        raise ValueError("no interrupt")
    assert not capsys.readouterr().err


def test_other_errors_that_python_drops_are_told_as_ever(monkeypatch):
    told = []
    monkeypatch.setattr("sys.unraisablehook", lambda args: told.append(args.exc_type))

    class Wrong:
        def __del__(self):
            raise ValueError

    with told_when_interrupted():
        wrong = Wrong()
        del wrong
    assert told == [ValueError]
