"""From settings to an executor: this process, worker processes here, a running scheduler, or a batch system."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml
from pydantic import Field, ValidationError

from pathopipe.engine.base import Executor
from pathopipe.engine.serial import SerialExecutor
from pathopipe.engine.spec import EngineSpec
from pathopipe.errors import ClusterError, ConfigError, MissingDependencyError
from pathopipe.spec import Spec, told

if TYPE_CHECKING:
    from distributed import Client

_JOBQUEUE = {"slurm": "SLURMCluster", "pbs": "PBSCluster", "lsf": "LSFCluster", "sge": "SGECluster"}


class Adaptive(Spec):
    """Bounds between which a batch system's jobs come and go with the work."""

    minimum: int = Field(0, ge=0)
    maximum: int = Field(ge=1)


class ClusterFile(Spec):
    """What a cluster file holds; see configs/clusters."""

    kind: Literal["local", "address", "slurm", "pbs", "lsf", "sge"]
    """"local", "address" (a running scheduler), or a batch system that dask-jobqueue knows."""
    address: str | None = None
    """Of the scheduler, for kind "address"."""
    workers: int | None = Field(None, ge=1)
    """Workers to start (jobs' worth of processes on a batch system)."""
    adaptive: Adaptive | None = None
    """Let the number of jobs follow the work, on a batch system."""
    gpu: bool = False
    """Workers have one GPU each, which every task takes as the Dask resource "GPU"."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Handed to dask-jobqueue as they are: queue, cores, memory, walltime, job_extra_directives …"""


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
    if spec.cluster == "local":
        return _local(spec, spec.workers, gpus)
    if spec.cluster.endswith((".yaml", ".yml")):
        file = read_cluster_file(Path(spec.cluster))
        workers = spec.workers or file.workers
        if file.kind == "local":
            return _local(spec, workers, gpus)
        if file.kind == "address":
            return _address(spec, str(file.address), file.gpu)
        return _jobqueue(spec, file, workers)
    if "://" in spec.cluster:
        return _address(spec, spec.cluster, gpu=False)
    raise ConfigError(
        f"--cluster {spec.cluster}: expected local, serial, an address such as tcp://host:8786, or a .yaml cluster file"
    )


def read_cluster_file(path: Path) -> ClusterFile:
    """Read and check a cluster file.

    Raises
    ------
    ConfigError
        If it cannot be read, or a key is missing, unknown or wrong.
    """
    try:
        file = ClusterFile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"cannot read the cluster file {path}: {error}") from None
    except ValidationError as error:
        raise ConfigError(f"cluster file {path}: {told(error)}") from None
    if file.kind == "address" and not file.address:
        raise ConfigError(f"cluster file {path}: kind 'address' needs an address such as tcp://host:8786")
    return file


def _local(spec: EngineSpec, workers: int | None, gpus: tuple[str, ...]) -> Executor:
    from distributed import Client, Nanny, Scheduler, SpecCluster

    number = workers or _default_workers(gpus)
    # What matters of its log comes back as exceptions; the rest would bury our own lines.
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    # A process a worker, a thread a process: each holds its own model and slide. Nannies replace a worker that died.
    options: dict[str, Any] = {"nthreads": 1, "silence_logs": logging.CRITICAL, "dashboard_address": None}
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
        cluster = owned.enter_context(SpecCluster(described, scheduler=scheduler, silence_logs=False))
        client = owned.enter_context(Client(cluster))
        _wait_for_workers(client, number, spec.start_timeout_s, "this machine")
        what = f"{number} GPU process{'es' * (number > 1)}" if gpus else f"{number} process{'es' * (number > 1)}"
        return _dask(
            client, owned.pop_all(), spec, bool(gpus), f"{what} on this machine", lambda: cluster.scale(number)
        )


def _address(spec: EngineSpec, address: str, gpu: bool) -> Executor:
    from distributed import Client

    with ExitStack() as owned:
        try:
            client = owned.enter_context(Client(address, timeout=spec.start_timeout_s))
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(f"no Dask scheduler answers at {address}: {error}") from error
        _wait_for_workers(client, 1, spec.start_timeout_s, address)
        return _dask(client, owned.pop_all(), spec, gpu, f"the Dask cluster at {address}")


def _jobqueue(spec: EngineSpec, file: ClusterFile, workers: int | None) -> Executor:
    try:
        import dask_jobqueue
    except ImportError:
        raise MissingDependencyError(
            f"a {file.kind} cluster needs dask-jobqueue: pip install 'pathopipe[cluster]'"
        ) from None
    from distributed import Client

    with ExitStack() as owned:
        try:
            cluster = owned.enter_context(getattr(dask_jobqueue, _JOBQUEUE[file.kind])(**file.options))
        except (TypeError, ValueError, OSError) as error:
            raise ClusterError(f"the {file.kind} cluster does not start: {error}") from error
        if file.adaptive:
            cluster.adapt(minimum_jobs=file.adaptive.minimum, maximum_jobs=file.adaptive.maximum)
        else:
            cluster.scale(n=workers or 1)
        client = owned.enter_context(Client(cluster))
        _wait_for_workers(client, 1, spec.start_timeout_s, f"the {file.kind} jobs")
        return _dask(client, owned.pop_all(), spec, file.gpu, f"{file.kind} jobs through dask-jobqueue")


def _dask(
    client: Client,
    owned: ExitStack,
    spec: EngineSpec,
    gpu: bool,
    description: str,
    refill: Callable[[], object] | None = None,
) -> Executor:
    from pathopipe.engine.dask import DaskExecutor

    return DaskExecutor(client, owned, spec.in_flight, {"GPU": 1.0} if gpu else {}, description, refill)


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
    if gpus:
        return len(gpus)
    try:
        return len(os.sched_getaffinity(0))  # fewer than the machine has, inside a batch job or container
    except AttributeError:
        return os.cpu_count() or 1
