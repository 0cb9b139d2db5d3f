"""Executors differ in where the work happens and in nothing else."""

from __future__ import annotations

import signal
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from distributed import default_client

from pathopipe.engine.base import Executor
from pathopipe.engine.cluster import start_executor
from pathopipe.engine.spec import EngineSpec
from pathopipe.errors import ClusterError, ConfigError
from tests.support.tasks import DieOn, DieOnce, WriteSquare, die, refuse


def files(executor: Executor, folder):
    folder.mkdir()
    results = {}
    executor.each(WriteSquare(folder), range(50), lambda item, result: results.update({item: result[0]}))
    assert results == {number: number * number for number in range(50)}
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.fixture(scope="module")
def two_processes():
    with start_executor(EngineSpec(workers=2, in_flight=2)) as executor:
        yield executor


def test_serial_and_two_processes_write_the_same_files(tmp_path, two_processes):
    with start_executor(EngineSpec(cluster="serial")) as serial:
        assert files(serial, tmp_path / "serial") == files(two_processes, tmp_path / "two")


def test_both_processes_work_and_none_is_this_one(tmp_path, two_processes):
    processes = set()
    two_processes.each(WriteSquare(tmp_path), range(50), lambda item, result: processes.add(result[1]))
    assert len(processes) == two_processes.workers == 2


def test_no_more_tasks_are_handed_out_than_allowed(tmp_path, two_processes):
    handed, most = 0, 0

    def items():
        nonlocal handed
        for number in range(60):
            handed += 1
            yield number

    def done(item, result):
        nonlocal most, handed
        most = max(most, handed)
        handed -= 1

    two_processes.each(WriteSquare(tmp_path), items(), done)
    assert most <= 2 * 2 + 1


def test_an_error_of_a_task_comes_back_and_the_workers_stay(tmp_path, two_processes):
    with pytest.raises(ValueError, match="is refused"):
        two_processes.each(refuse, range(5), lambda item, result: None)
    assert len(files(two_processes, tmp_path / "after")) == 50


def test_a_worker_that_dies_is_replaced_and_its_item_redone(tmp_path, two_processes):
    seen = []
    two_processes.each(DieOnce(tmp_path), range(8), lambda item, result: seen.append(result))
    assert sorted(seen) == list(range(8))


def test_an_item_that_kills_its_worker_twice_is_lost_and_no_other(tmp_path, two_processes):
    seen, lost = [], []
    task = DieOn(4, tmp_path / "deaths")
    two_processes.each(task, range(9), lambda item, result: seen.append(result), lambda item, why: lost.append(item))
    assert sorted(seen) == [number for number in range(9) if number != 4]
    assert lost == [4]
    assert (tmp_path / "deaths").stat().st_size == 2
    assert len(files(two_processes, tmp_path / "after")) == 50


def test_an_item_that_always_kills_its_worker_is_an_error_with_a_cure(two_processes):
    with pytest.raises(ClusterError, match="--workers"):
        two_processes.each(die, [1], lambda item, result: None)


def test_a_running_scheduler_is_used_by_its_address(tmp_path):
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        with start_executor(EngineSpec(cluster=cluster.scheduler_address)) as executor:
            assert len(files(executor, tmp_path / "there")) == 50
        assert cluster.status.name == "running"  # it was there before, so it stays


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("kind: slurm\nworker: 2\n", "worker"),
        ("kind: abacus\n", "kind"),
        ("kind: address\n", "address"),
        ("- a\n", "file"),
        ("kind: [\n", "is not YAML"),
    ],
)
def test_a_wrong_cluster_file_is_told(tmp_path, text, complaint):
    (tmp_path / "cluster.yaml").write_text(text)
    with pytest.raises(ConfigError, match=complaint):
        start_executor(EngineSpec(cluster=str(tmp_path / "cluster.yaml")))


def test_a_missing_cluster_file_and_a_wrong_word_are_told(tmp_path):
    with pytest.raises(ConfigError, match="cannot read the cluster file"):
        start_executor(EngineSpec(cluster=str(tmp_path / "none.yaml")))
    with pytest.raises(ConfigError, match="expected local, serial"):
        start_executor(EngineSpec(cluster="cloud"))


def test_no_scheduler_at_the_address_is_told():
    with pytest.raises(ClusterError, match="no Dask scheduler answers"):
        start_executor(EngineSpec(cluster="tcp://127.0.0.1:9", start_timeout_s=1))


def test_two_threads_share_the_workers_and_each_finds_its_own_deadly_item(tmp_path, two_processes):
    def work(name):
        seen, lost = [], []
        two_processes.each(
            DieOn(4, tmp_path / name), range(12), lambda item, _: seen.append(item), lambda item, _: lost.append(item)
        )
        return sorted(seen), lost

    with ThreadPoolExecutor(2) as threads:
        found = list(threads.map(work, "ab"))
    assert found == [([number for number in range(12) if number != 4], [4])] * 2


def test_a_finished_run_is_not_spoilt_by_workers_that_take_long_to_end(caplog):
    def too_slow():
        raise TimeoutError("a worker is still there")

    with start_executor(EngineSpec(workers=1)) as executor:
        executor._owned.callback(too_slow)
        assert executor.workers == 1
    assert "took long to end (a worker is still there)" in caplog.text


def test_ctrl_c_while_the_workers_are_asked_prints_no_traceback_of_dask(two_processes, caplog):
    """dask's answer to it looks for what it has not begun yet, where its loop is late."""
    loop = default_client().loop
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        loop.add_callback(time.sleep, 0.6)
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(KeyboardInterrupt):
            assert two_processes.workers
    finally:
        signal.signal(signal.SIGALRM, before)
    assert two_processes.workers == 2
    assert not caplog.records
