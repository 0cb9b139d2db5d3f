"""From settings to an executor: this process, worker processes here, a running scheduler, or a batch system."""

from __future__ import annotations

import asyncio
import logging
import os
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathopipe.engine.base import Executor
from pathopipe.engine.cluster_file import BATCH_SYSTEMS, ClusterFile, read_cluster_file
from pathopipe.engine.serial import SerialExecutor
from pathopipe.engine.spec import EngineSpec
from pathopipe.engine.starting import import_ahead
from pathopipe.errors import ClusterError, ConfigError, MissingDependencyError
from pathopipe.models.device import processes_per_gpu

if TYPE_CHECKING:
    from distributed import Client

_EXTRAS = {"ssh": "ssh", "kubernetes": "kubernetes"} | dict.fromkeys(BATCH_SYSTEMS, "cluster")
"""By kind of cluster, the extra that installs what it needs."""
_BOUNDS = {True: ("minimum_jobs", "maximum_jobs"), False: ("minimum", "maximum")}
"""What dask calls the bounds of adaptive scaling, on a batch system and elsewhere."""
_QUIET = {
    "distributed.worker.profile.enabled": False,  # looks at a worker's stack every 10 ms, for the dashboard
    "distributed.admin.tick.interval": "1s",  # 20 ms, in every worker, its nanny and the scheduler
    "distributed.admin.system-monitor.interval": "10s",  # 500 ms, in all of them too
    "distributed.worker.memory.monitor-interval": "500ms",  # 100 ms, in workers and nannies
    "distributed.client.scheduler-info-interval": "10s",  # 2 s
}
"""How seldom dask looks at itself, beside what it does by default: local workers have the cores that it would take."""


def start_executor(spec: EngineSpec, gpus: tuple[str, ...] = ()) -> Executor:
    """Start, or connect to, what ``spec`` describes.

    Parameters
    ----------
    spec : EngineSpec
        The settings.
    gpus : tuple of str
        The GPUs of this machine, as CUDA_VISIBLE_DEVICES names them; local workers then hold one each.

    Returns
    -------
    Executor
        Close it, or use it as a context manager, to end what was started.

    Raises
    ------
    ClusterError
        If the cluster cannot be reached or gives no worker in time.
    ConfigError
        If the cluster file is wrong.
    """
    if spec.cluster == "serial":
        return SerialExecutor()
    import distributed  # noqa: F401 (it sets its loggers' levels when it is imported)

    # What matters of dask's log comes back as exceptions; the rest would bury our own lines. What dask's loop says goes
    # to Tornado's: where Ctrl-C comes while the workers are asked for something, a traceback of dask's own.
    for name in ("distributed", "tornado.application"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    if spec.cluster == "local":
        return _local(spec, spec.workers, gpus)
    if spec.cluster.endswith((".yaml", ".yml")):
        file = read_cluster_file(Path(spec.cluster))
        workers = spec.workers or file.workers
        if file.kind == "local":
            return _local(spec, workers, gpus)
        if file.kind == "address":
            return _address(spec, str(file.address), file.gpu)
        return _started(spec, file, workers)
    if "://" in spec.cluster:
        return _address(spec, spec.cluster, gpu=False)
    raise ConfigError(
        f"--cluster {spec.cluster}: expected local, serial, an address such as tcp://host:8786, or a .yaml cluster file"
    )


def _local(spec: EngineSpec, workers: int | None, gpus: tuple[str, ...]) -> Executor:
    import dask.config
    from distributed import Client, Nanny, Scheduler, SpecCluster

    method = import_ahead()
    number = workers or _default_workers(gpus)
    # A process a worker, a thread a process: each holds its own model and slide. Nannies replace a worker that died.
    options: dict[str, Any] = {
        "nthreads": 1,
        "silence_logs": logging.CRITICAL,
        "dashboard_address": None,
        "preload": ["pathopipe.engine.starting"],
    }
    described = {}
    for index in range(number):
        own = dict(options)
        if gpus:
            own |= {"env": {"CUDA_VISIBLE_DEVICES": gpus[index % len(gpus)]}, "resources": {"GPU": 1}}
        described[index] = {"cls": Nanny, "options": own}
    # No death is forgiven: whose fault it was is found out by running each suspect alone (DaskExecutor.each).
    scheduler = {
        "cls": Scheduler,
        "options": {"allowed_failures": 0, "dashboard": False, "dashboard_address": "127.0.0.1:0", "host": "127.0.0.1"},
    }
    with ExitStack() as owned:
        # As long as the cluster is there: a worker that replaces another reads them anew.
        owned.enter_context(dask.config.set({**_QUIET, "distributed.worker.multiprocessing-method": method}))
        cluster = owned.enter_context(SpecCluster(scheduler=scheduler, silence_logs=False))
        cluster.worker_spec.update(described)
        starting = asyncio.run_coroutine_threadsafe(_started_workers(cluster), cluster.loop.asyncio_loop)
        # Of the cluster itself a client would wait for all of its workers; and where Ctrl-C ended that, dask's cluster
        # could not be closed any more (its SpecCluster._correct_state keeps the task that was cancelled).
        client = owned.enter_context(Client(cluster.scheduler_address))

        def awaited() -> None:
            try:
                starting.result(spec.start_timeout_s)
            except RuntimeError as error:
                raise ClusterError(f"workers do not start on this machine: {error}") from error
            except TimeoutError:
                pass  # told below
            _wait_for_workers(client, number, spec.start_timeout_s, "this machine")

        what = f"{number} GPU process{'es' * (number > 1)}" if gpus else f"{number} process{'es' * (number > 1)}"
        return _dask(
            client,
            owned.pop_all(),
            spec,
            bool(gpus),
            f"{what} on this machine",
            lambda: cluster.scale(number),
            elsewhere=False,
            awaited=awaited,
        )


async def _started_workers(cluster: Any) -> None:
    await cluster


def _address(spec: EngineSpec, address: str, gpu: bool) -> Executor:
    from distributed import Client

    with ExitStack() as owned:
        try:
            client = owned.enter_context(Client(address, timeout=spec.start_timeout_s))
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(f"no Dask scheduler answers at {address}: {error}") from error
        _wait_for_workers(client, 1, spec.start_timeout_s, address)
        return _dask(client, owned.pop_all(), spec, gpu, f"the Dask cluster at {address}")


def _started(spec: EngineSpec, file: ClusterFile, workers: int | None) -> Executor:
    """Start the cluster that ``file`` describes: it ends with the executor."""
    from distributed import Client

    with ExitStack() as owned:
        try:
            cluster = owned.enter_context(_cluster(file, workers))
            if file.adaptive:
                least, most = _BOUNDS[file.kind in BATCH_SYSTEMS]
                cluster.adapt(**{least: file.adaptive.minimum, most: file.adaptive.maximum})
            elif file.kind != "ssh":
                cluster.scale(workers or 1)
            client = owned.enter_context(Client(cluster, timeout=spec.start_timeout_s))
        except ImportError as error:
            raise MissingDependencyError(
                f"a {file.kind} cluster needs more packages ({error}): pip install 'pathopipe[{_EXTRAS[file.kind]}]'"
            ) from error
        except (TypeError, ValueError, OSError, RuntimeError) as error:
            raise ClusterError(f"the {file.kind} cluster does not start: {error}") from error
        # Where workers follow the work, it takes work to get the first.
        demand = client.submit(int, pure=False) if file.adaptive else None
        _wait_for_workers(client, 1, spec.start_timeout_s, f"the {file.kind} cluster")
        del demand
        return _dask(client, owned.pop_all(), spec, file.gpu, f"the {file.kind} cluster")


def _cluster(file: ClusterFile, workers: int | None) -> Any:
    """Return dask's cluster of ``file``, without workers where they are asked for later."""
    if file.kind == "ssh":
        from pathopipe.engine.ssh import ssh_cluster

        return ssh_cluster(file, workers or len(file.hosts))
    if file.kind == "kubernetes":
        from dask_kubernetes.operator import KubeCluster

        return KubeCluster(**{"quiet": True, **file.options})
    import dask_jobqueue

    resources = {"worker_extra_args": ["--resources GPU=1"]} if file.gpu else {}
    return getattr(dask_jobqueue, f"{file.kind.upper()}Cluster")(**{**resources, **file.options})


def _dask(
    client: Client,
    owned: ExitStack,
    spec: EngineSpec,
    gpu: bool,
    description: str,
    refill: Callable[[], object] | None = None,
    elsewhere: bool = True,
    awaited: Callable[[], object] | None = None,
) -> Executor:
    from pathopipe.engine.dask import DaskExecutor

    if elsewhere and (link := _dashboard(client)):
        description += f" (dashboard: {link})"
    resources = {"GPU": 1.0} if gpu else {}
    patience_s = spec.start_timeout_s
    return DaskExecutor(client, owned, spec.in_flight, resources, description, patience_s, refill, elsewhere, awaited)


def _dashboard(client: Client) -> str | None:
    """Return the address of the scheduler's dashboard if something is served there: one is named in any case."""
    if "dashboard" not in client.scheduler_info()["services"]:
        return None
    link = str(client.dashboard_link)
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        direct.open(link, timeout=15).close()
    except (OSError, ValueError):
        return None
    return link


def _wait_for_workers(client: Client, number: int, timeout_s: float, where: str) -> None:
    try:
        client.wait_for_workers(number, timeout=timeout_s)
    except TimeoutError:
        raise ClusterError(
            f"no worker came from {where} within {timeout_s:.0f} s; look at its logs, or wait longer with "
            "--set engine.start_timeout_s=…"
        ) from None


def expected_workers(spec: EngineSpec, gpus: tuple[str, ...] = ()) -> int:
    """Return how many workers :func:`start_executor` would come to, as far as that is known without starting any."""
    if spec.cluster == "serial":
        return 1
    if spec.cluster.endswith((".yaml", ".yml")):
        file = read_cluster_file(Path(spec.cluster))
        most = file.adaptive.maximum if file.adaptive else None
        return spec.workers or file.workers or most or (_default_workers(gpus) if file.kind == "local" else 1)
    return spec.workers or (_default_workers(gpus) if spec.cluster == "local" else 1)


def _default_workers(gpus: tuple[str, ...]) -> int:
    cores = _cores()
    return len(gpus) * processes_per_gpu(cores // len(gpus)) if gpus else cores


def _cores() -> int:
    try:
        return len(os.sched_getaffinity(0))  # fewer than the machine has, inside a batch job or container
    except AttributeError:
        return os.cpu_count() or 1
