"""Workers on machines that can be logged in to: dask's SSH processes, one worker a process, one GPU a worker."""

from __future__ import annotations

from typing import Any

from distributed import SpecCluster
from distributed.deploy.ssh import Scheduler, Worker

from pathopipe.engine.cluster_file import ClusterFile

_IDLE = "1 hour"
"""After which a scheduler without work ends itself and its workers: a run that was killed cannot do it any more."""


def ssh_cluster(file: ClusterFile, workers: int) -> SpecCluster:
    """Return a cluster with its scheduler on the first of ``file.hosts`` and ``workers`` dealt to all of them in turn.

    Unlike ``distributed.SSHCluster`` each worker process can have settings of its own, so that on every machine the
    first has the first GPU, the second the second, and so on.

    Raises
    ------
    OSError
        If a machine cannot be logged in to.
    ImportError
        If asyncssh is not installed.
    """
    import asyncssh  # noqa: F401 (dask would find out on another thread, and only log it)

    given = file.options
    login = {"connect_options": given.get("connect_options", {}), "remote_python": given.get("remote_python")}
    scheduler = {"port": 0, "dashboard": False, "idle_timeout": _IDLE, **given.get("scheduler_options", {})}
    described: dict[int, dict[str, Any]] = {}
    for index in range(workers):
        own: dict[str, Any] = {"nthreads": 1, "dashboard": False, **given.get("worker_options", {})}
        if file.gpu:
            gpu = str(index // len(file.hosts))
            own |= {"env": {"CUDA_VISIBLE_DEVICES": gpu, **own.get("env", {})}, "resources": {"GPU": 1}}
        options = {"address": file.hosts[index % len(file.hosts)], "kwargs": own, **login}
        described[index] = {"cls": Worker, "options": options}
    first = {"cls": Scheduler, "options": {"address": file.hosts[0], "kwargs": scheduler, **login}}
    return SpecCluster(described, scheduler=first, name="pathopipe", silence_logs=False)
