"""Several processes that train one network: each takes its part of every batch, and all take the same step.

The gradients are averaged by hand instead of by DistributedDataParallel: the network is small, so that there is
nothing to overlap, and the batch normalisation's running means are averaged on the way. So every process holds the
same numbers after every step, whichever of them is asked.
"""

from __future__ import annotations

import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import torch
from torch import Tensor, distributed

from pathopipe.errors import ModelError

_PATIENCE = timedelta(hours=1)
"""How long a process waits for the others, which may be validating."""


@dataclass(frozen=True)
class Ranks:
    """One process among those that train together."""

    device: torch.device
    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this is the one that validates and writes."""
        return self.rank == 0

    def average(self, tensors: list[Tensor]) -> None:
        """Replace ``tensors`` (float32, in place) by their means over all processes."""
        if self.count == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        distributed.all_reduce(flat)
        flat /= self.count
        start = 0
        for tensor in tensors:
            tensor.copy_(flat[start : start + tensor.numel()].view_as(tensor))
            start += tensor.numel()

    def agreed(self, flag: bool) -> bool:
        """Return the ``flag`` of the process that leads."""
        if self.count == 1:
            return flag
        told = torch.tensor([float(flag)], device=self.device)
        distributed.broadcast(told, src=0)
        return bool(told.item())


@contextmanager
def together(count: int, cuda: bool, follow: Callable[[Ranks], object]) -> Iterator[Ranks]:
    """Start ``count`` − 1 processes that call ``follow``, and be the one that leads them.

    Parameters
    ----------
    count : int
        Processes in all; with 1 none is started.
    cuda : bool
        Whether each takes a GPU of its own; else all are on the CPU.
    follow : callable
        Picklable; it must average and agree as often as the block does.

    Raises
    ------
    ModelError
        If one of them ends before its time.
    """
    if count == 1:
        yield Ranks(_device(0, cuda))
        return
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="pathopipe-train-") as folder:
        meeting = Path(folder) / "ranks"
        others = [
            context.Process(target=_followed, args=(rank, count, cuda, meeting, follow)) for rank in range(1, count)
        ]
        for other in others:
            other.start()
        try:
            with _joined(0, count, cuda, meeting) as ranks:
                yield ranks
            for other in others:
                other.join()
        except RuntimeError as error:  # torch's, when a connection breaks
            for other in others:
                other.join(30)
            if any(other.exitcode for other in others):
                raise ModelError(
                    f"one of the {count} training processes failed ({error}); what it printed stands above"
                ) from error
            raise
        finally:
            for other in others:
                other.terminate()  # they wait for one that has failed; nothing where they have ended
                other.join()


def _followed(rank: int, count: int, cuda: bool, meeting: Path, follow: Callable[[Ranks], object]) -> None:
    with _joined(rank, count, cuda, meeting) as ranks:
        follow(ranks)


@contextmanager
def _joined(rank: int, count: int, cuda: bool, meeting: Path) -> Iterator[Ranks]:
    device = _device(rank, cuda)
    distributed.init_process_group(
        "nccl" if cuda else "gloo", init_method=f"file://{meeting}", rank=rank, world_size=count, timeout=_PATIENCE
    )
    try:
        yield Ranks(device, rank, count)
    finally:
        distributed.destroy_process_group()


def _device(rank: int, cuda: bool) -> torch.device:
    if not cuda:
        return torch.device("cpu")
    torch.cuda.set_device(rank)
    return torch.device("cuda", rank)
