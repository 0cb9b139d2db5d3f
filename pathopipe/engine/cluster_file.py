"""What a cluster file says: which machines or batch system workers are to be had from."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, model_validator

from pathopipe.errors import ConfigError
from pathopipe.spec import Spec, parse_yaml, told

BATCH_SYSTEMS = ("slurm", "pbs", "lsf", "sge")
"""Those that dask-jobqueue knows."""


class Adaptive(Spec):
    """Bounds between which jobs (on Kubernetes: pods) come and go with the work."""

    minimum: int = Field(0, ge=0)
    maximum: int = Field(ge=1)


class ClusterFile(Spec):
    """What a cluster file holds; see configs/clusters."""

    kind: Literal["local", "address", "ssh", "slurm", "pbs", "lsf", "sge", "kubernetes"]
    """"local", "address" (a running scheduler), "ssh" (machines to log in to), a batch system that dask-jobqueue
    knows, or "kubernetes" (its Dask operator)."""
    address: str | None = None
    """Of the scheduler, for kind "address"."""
    hosts: list[str] = Field(default_factory=list)
    """Machines, for kind "ssh": the scheduler and the first worker go to the first."""
    workers: int | None = Field(None, ge=1)
    """Worker processes in all."""
    adaptive: Adaptive | None = None
    """Let the number of jobs or pods follow the work, on a batch system or Kubernetes."""
    gpu: bool = False
    """Workers have one GPU each, which every task takes as the Dask resource "GPU"."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Handed on as they are: to dask-jobqueue (queue, cores, memory, walltime, job_extra_directives …), to
    dask-kubernetes (custom_cluster_spec, namespace …), or for SSH: connect_options (of asyncssh), remote_python,
    scheduler_options, worker_options."""

    @model_validator(mode="after")
    def _fits_its_kind(self) -> ClusterFile:
        if self.kind == "address" and not self.address:
            raise ValueError("kind 'address' needs an address such as tcp://host:8786")
        if self.kind == "ssh" and not self.hosts:
            raise ValueError("kind 'ssh' needs hosts, such as [node1, node2]")
        if self.adaptive and self.kind not in (*BATCH_SYSTEMS, "kubernetes"):
            raise ValueError(f"adaptive is for batch systems and Kubernetes, not for kind {self.kind!r}")
        unknown = self.options.keys() - {"connect_options", "remote_python", "scheduler_options", "worker_options"}
        if self.kind == "ssh" and unknown:
            raise ValueError(f"kind 'ssh' has no options {', '.join(sorted(unknown))}")
        return self


def read_cluster_file(path: Path) -> ClusterFile:
    """Read and check a cluster file.

    Raises
    ------
    ConfigError
        If it cannot be read, or a key is missing, unknown or wrong.
    """
    try:
        return ClusterFile.model_validate(parse_yaml(path.read_text(encoding="utf-8"), str(path)))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read the cluster file {path}: {error}") from None
    except ValidationError as error:
        raise ConfigError(f"cluster file {path}: {told(error)}") from None
