"""Whose turn it is to change what shards share."""

from __future__ import annotations

from threading import Event, Thread

from pathopipe.batch import holding


def test_a_long_wait_for_ones_turn_is_told_and_ends(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(holding, "_TELL_AFTER_S", 0.05)
    had = Event()

    def take() -> None:
        with holding.turn(tmp_path):
            had.set()

    with holding.turn(tmp_path):
        other = Thread(target=take)
        other.start()
        assert not had.wait(0.5)
    assert had.wait(10)
    other.join()
    (told,) = caplog.messages
    assert str(tmp_path) in told
    assert "stopped" in told


def test_a_turn_that_is_free_is_taken_without_a_word(tmp_path, caplog):
    with holding.turn(tmp_path):
        pass
    with holding.turn(tmp_path):
        pass
    assert not caplog.messages
