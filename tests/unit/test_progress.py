"""What the user sees while work goes on."""

from __future__ import annotations

import io

from pathopipe.progress import Bars, Lines, Silent, show_progress


def test_lines_tell_slide_stage_and_what_was_done_before():
    stream = io.StringIO()
    with show_progress(0, stream) as progress:
        assert isinstance(progress, Lines)
        progress.slide(2, 3, "a")
        progress.stage("cells", 10, 4)
        progress.advance()
        progress.say("careful")
    assert stream.getvalue().splitlines() == ["[2/3] a: cells: 6 to do, 4 done before", "[2/3] a: careful"]


def test_quiet_says_nothing(capsys):
    with show_progress(-1) as progress:
        assert isinstance(progress, Silent)
        progress.say("nothing")
    assert capsys.readouterr() == ("", "")


def test_bars_forget_the_total_of_the_stage_before():
    stream = io.StringIO()
    with Bars(stream) as bars:
        bars.slide(1, 2, "a")
        bars.stage("cells", 10)
        bars.advance(10)
        bars.stage("write")
        bars.say("said")
    assert "said" in stream.getvalue()
    assert "0/10" not in stream.getvalue().rpartition("write")[2]


def test_a_note_stands_beside_the_stage(monkeypatch):
    from pathopipe import progress

    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0)
    stream = io.StringIO()
    lines = Lines(stream)
    lines.stage("train", 10)
    lines.note("loss 0.5")
    lines.advance()
    assert stream.getvalue().splitlines()[1].startswith("train: 1 of 10, loss 0.5, about ")
    lines.stage("train again", 10)
    lines.advance()
    assert "loss" not in stream.getvalue().splitlines()[3]
    stream = io.StringIO()
    with Bars(stream) as bars:
        bars.stage("train", 10)
        bars.note("loss 0.25, F1 0.800")
        bars.say("said")
    with show_progress(-1) as silent:
        silent.note("nothing")
