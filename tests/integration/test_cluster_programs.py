"""A scheduler and workers that are programs of their own: checks, workers that come later, and a lost scheduler."""

from __future__ import annotations

import threading
import time

import pytest

from pathopipe.engine.cluster import start_executor
from pathopipe.engine.needs import Needs, probe
from pathopipe.engine.spec import EngineSpec
from pathopipe.errors import ClusterError
from pathopipe.models.base import ModelSpec
from pathopipe.models.load import load_card
from tests.support.programs import Programs
from tests.support.tasks import Slowly, WriteSquare


@pytest.fixture
def programs(tmp_path):
    folder = tmp_path / "programs"
    folder.mkdir()
    started = Programs(folder)
    yield started
    started.close()


def connect(programs, **settings):
    return start_executor(EngineSpec(cluster=programs.address, **{"start_timeout_s": 60, **settings}))


def needs(run, out, *slides):
    return Needs.of(run, [str(slide) for slide in slides], out, ModelSpec(), load_card(ModelSpec()).sha256)


def test_workers_are_examined_named_and_those_that_come_later_too(programs, tmp_path):
    slide = tmp_path / "a.svs"
    slide.write_bytes(b"123")
    programs.scheduler()
    fit = programs.worker("--name", "fit")
    said, seen = [], []
    with connect(programs) as engine, probe(tmp_path) as run:
        assert engine.elsewhere
        engine.require(needs(run, tmp_path, slide), said.append)
        # One that has more threads comes while there is work, and another that is as it should be.
        unfit = programs.worker("--nthreads", "2", "--name", "unfit", "--no-nanny")
        programs.worker("--name", "late")

        def done(item, result):
            seen.append((item, result))

        numbers = iter(range(100_000))
        engine.each(
            Slowly(0.05), iter(lambda: next(numbers) if len({pid for _, pid in seen}) < 2 else None, None), done
        )
        assert unfit.wait(timeout=60) is not None
        engine.each(WriteSquare(tmp_path), range(20), lambda item, result: None)
    assert len({item for item, _ in seen}) == len(seen)
    assert any("2 threads" in line and "goes on without it" in line for line in said)
    assert fit.poll() is None

    programs.worker("--nthreads", "2", "--name", "unfit")
    with connect(programs) as engine, probe(tmp_path) as run:
        deadline = time.monotonic() + 60
        while engine.workers < 3 and time.monotonic() < deadline:
            time.sleep(0.1)
        with pytest.raises(ClusterError, match=r"1 of 3 workers cannot do this run:\n  worker tcp://.* 2 threads"):
            engine.require(needs(run, tmp_path, slide), said.append)


def test_a_gpu_that_no_worker_has_is_told_at_once(programs, tmp_path):
    programs.scheduler()
    programs.worker()
    (tmp_path / "gpu.yaml").write_text(f"kind: address\naddress: {programs.address}\ngpu: true\n")
    engine = start_executor(EngineSpec(cluster=str(tmp_path / "gpu.yaml")))
    assert "dashboard" not in engine.description  # the scheduler was started without one
    with engine, pytest.raises(ClusterError, match="no worker has the resource GPU"):
        engine.require(needs("run", tmp_path), print)


def test_a_scheduler_that_comes_back_is_gone_on_with(programs, tmp_path):
    scheduler = programs.scheduler()
    port = int(programs.address.rpartition(":")[2])
    programs.worker()
    said, results, killed = [], {}, threading.Event()

    def restart():
        killed.wait(60)
        programs.kill(scheduler)
        time.sleep(1)
        programs.scheduler(port)
        programs.worker()

    again = threading.Thread(target=restart)
    again.start()
    with connect(programs) as engine, probe(tmp_path) as run:
        engine.require(needs(run, tmp_path), said.append)

        def done(item, result):
            results[item] = result
            if len(results) == 5:
                killed.set()

        engine.each(Slowly(0.1), range(40), done)
    again.join()
    assert sorted(results) == list(range(40))
    assert any("went away" in line for line in said)
    assert any("is back" in line for line in said)


def test_a_scheduler_that_stays_away_is_an_error_with_a_cure(programs, tmp_path):
    scheduler = programs.scheduler()
    programs.worker()
    connect(programs).close()  # once it is there, a short time is enough
    with connect(programs, start_timeout_s=10) as engine:
        killer = threading.Timer(0.5, programs.kill, [scheduler])
        killer.start()
        with pytest.raises(ClusterError, match="run the same command again"):
            engine.each(Slowly(0.2), range(10_000), lambda item, result: None)
        killer.join()


def test_a_worker_that_is_killed_costs_nothing(programs, tmp_path):
    programs.scheduler()
    workers = [programs.worker(), programs.worker()]
    results = []
    with connect(programs) as engine:

        def done(item, result):
            results.append(item)
            if len(results) == 10:
                programs.kill(workers[0])

        engine.each(Slowly(0.05), range(60), done)
    assert sorted(results) == list(range(60))
