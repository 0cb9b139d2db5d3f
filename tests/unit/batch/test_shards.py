"""Shards: who does which slide, who may write when, and what run.json tells of them."""

from __future__ import annotations

import errno
import fcntl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathopipe.batch.holding import hold, running, turn
from pathopipe.batch.rounds import join, leave
from pathopipe.batch.shards import Shard
from pathopipe.errors import ConfigError, OutputInUseError, StoreError
from pathopipe.files import write_json
from pathopipe.layout import RUN
from pathopipe.slide.find import FoundSlide, FoundSlides


def slides(*names: str) -> FoundSlides:
    return FoundSlides(tuple(FoundSlide(f"/data/{name}.svs", None, name) for name in names))


def about(**changes):
    values = {"command": ["pathopipe"], "started": "t1", "finished": None, "config": {"grid": {"tile_px": 1024}}}
    return values | {"model": {"sha256": "a"}, "machine": {"cores": 2}, "arithmetic": "int8"} | changes


@settings(deadline=None, max_examples=60)
@given(st.sets(st.text("abcä-0123456789", min_size=1, max_size=5), max_size=40), st.integers(1, 12), st.randoms())
def test_every_slide_is_in_exactly_one_shard_whatever_the_order(names, of, random):
    ordered = sorted(names)
    shuffled = random.sample(ordered, len(ordered))
    parts = [Shard(index, of).part_of(slides(*ordered)).slides for index in range(1, of + 1)]
    again = [Shard(index, of).part_of(slides(*shuffled)).slides for index in range(1, of + 1)]
    assert sorted(slide.id for part in parts for slide in part) == ordered
    assert [set(part) for part in parts] == [set(part) for part in again]
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_slides_keep_the_order_they_were_given_in():
    assert [slide.id for slide in Shard(1, 2).part_of(slides("d", "c", "b", "a")).slides] == ["c", "a"]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "-1/4", "1/4/2", "1/100000", "²/4", ""])
def test_a_wrong_shard_is_told(text):
    with pytest.raises(ConfigError, match="--shard"):
        Shard.parse(text)


def test_a_shard_is_read_as_it_is_written():
    assert Shard.parse(" 3/8 ") == Shard(3, 8)
    assert str(Shard(3, 8)) == "3/8"


def test_shards_of_one_division_hold_the_folder_together_and_nobody_else(tmp_path):
    with hold(tmp_path, Shard(1, 3)), hold(tmp_path, Shard(2, 3)):
        with turn(tmp_path):
            assert running(tmp_path) == (Shard(1, 3), Shard(2, 3))
        for other, told in [
            (Shard(2, 3), "2/3 is being written"),
            (Shard(1, 2), "1/3 is writing"),
            (None, "another run"),
        ]:
            with pytest.raises(OutputInUseError, match=told), hold(tmp_path, other):
                pass
    with hold(tmp_path), pytest.raises(OutputInUseError), hold(tmp_path, Shard(1, 2)):
        pass
    with hold(tmp_path, Shard(1, 2)):  # of what ended nothing stays
        assert running(tmp_path) == (Shard(1, 2),)


def test_a_file_system_without_locks_takes_one_run_but_no_shards(tmp_path, monkeypatch, caplog):
    def no_locks(file, kind):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with hold(tmp_path), turn(tmp_path):
        assert "keeps no locks" in caplog.text
    with pytest.raises(StoreError, match="an output folder of its own"), hold(tmp_path, Shard(1, 2)):
        pass


def test_run_json_is_finished_when_all_shards_are(tmp_path):
    found = slides("a", "b", "c")
    begun = {}
    with hold(tmp_path, Shard(2, 2)), hold(tmp_path, Shard(1, 2)):
        for index, started in ((2, "t2"), (1, "t1")):
            begun[index] = join(tmp_path, about(started=started), found, Shard(index, 2))
            write_json(tmp_path / RUN, begun[index])
    assert begun[1]["started"] == "t1"
    assert list(begun[1]["shards"]["parts"]) == ["1", "2"]
    one = leave(tmp_path, begun[2], Shard(2, 2), "t3")
    write_json(tmp_path / RUN, one)
    assert (one["finished"], one["shards"]["finished"]) == (None, 1)
    both = leave(tmp_path, begun[1], Shard(1, 2), "t4")
    assert (both["started"], both["finished"], both["shards"]["finished"]) == ("t1", "t4", 2)


OTHERS = pytest.mark.parametrize(
    ("found", "changes"),
    [
        (slides("a", "b", "new"), {}),
        (slides("a", "b"), {"config": {"grid": {"tile_px": 512}}}),
        (slides("a", "b"), {"model": {"sha256": "b"}}),
    ],
    ids=["slides", "settings", "model"],
)


@OTHERS
def test_shards_of_two_rounds_do_not_work_at_once(tmp_path, found, changes):
    with hold(tmp_path, Shard(2, 2)):
        with hold(tmp_path, Shard(1, 2)):
            write_json(tmp_path / RUN, join(tmp_path, about(), slides("a", "b"), Shard(1, 2)))
            with pytest.raises(OutputInUseError, match="1/2 is at work with other slides"):
                join(tmp_path, about(**changes), found, Shard(2, 2))
        # It ended: a new round, in which it is still to come.
        later = join(tmp_path, about(**changes), found, Shard(2, 2))
    assert list(later["shards"]["parts"]) == ["2"]


@OTHERS
def test_of_shards_that_start_at_once_the_first_to_begin_makes_the_round(tmp_path, found, changes):
    with hold(tmp_path, Shard(1, 3)):  # killed when it had begun another round
        join(tmp_path, about(), slides("old"), Shard(1, 3))
    with hold(tmp_path, Shard(1, 3)), hold(tmp_path, Shard(2, 3)), hold(tmp_path, Shard(3, 3)):
        for index in (2, 1):
            write_json(tmp_path / RUN, joined := join(tmp_path, about(), slides("a", "b"), Shard(index, 3)))
        assert list(joined["shards"]["parts"]) == ["1", "2"]
        with pytest.raises(OutputInUseError, match="1/3 is at work with other slides"):
            join(tmp_path, about(**changes), found, Shard(3, 3))


def test_how_the_work_is_done_makes_no_other_round(tmp_path):
    with hold(tmp_path, Shard(1, 2)), hold(tmp_path, Shard(2, 2)):
        one = about(config={"engine": {"workers": 1}})
        write_json(tmp_path / RUN, join(tmp_path, one, slides("a"), Shard(1, 2)))
        joined = join(tmp_path, about(config={"engine": {"workers": 9}}), slides("a"), Shard(2, 2))
    assert list(joined["shards"]["parts"]) == ["1", "2"]
