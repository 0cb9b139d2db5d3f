"""Settings of the engine: where tiles are worked on."""

from __future__ import annotations

from pydantic import Field

from pathopipe.spec import Spec


class EngineSpec(Spec):
    """Where tiles are worked on. Never changes a result, so no fingerprint contains it."""

    cluster: str = "local"
    """"local": worker processes on this machine; "serial": in this process; "tcp://host:port": a running Dask
    scheduler; a path ending in .yaml: a cluster file (see configs/clusters)."""
    workers: int | None = Field(None, ge=1)
    """Number of workers; None takes a worker a core on the CPU and a worker a GPU with CUDA."""
    in_flight: int = Field(3, ge=1)
    """Tasks handed out per worker at a time: enough that none waits, few enough that memory stays flat."""
    start_timeout_s: float = Field(120, gt=0)
    """How long to wait for the first worker of a cluster."""
