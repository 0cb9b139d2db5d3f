"""The workers behind a Dask scheduler: who is fit for the run, and what if the scheduler goes away."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from distributed import Client

from pathopipe.engine.accord import agreed, slowed
from pathopipe.engine.fitness import Abilities, IfFit, Unexamined, abilities, examine, told
from pathopipe.engine.needs import Needs
from pathopipe.errors import ClusterError
from pathopipe.models.arithmetic import Arithmetic

Lacks = dict[str, tuple[str, ...]]
"""By worker, what keeps it from the run."""


class Crew:
    """The workers of ``client``, now and later.

    Parameters
    ----------
    client : distributed.Client
        Connected to the scheduler.
    resources : dict of str to float
        What a task takes of its worker.
    patience_s : float
        How long to wait for a scheduler, and for workers, that went away.
    """

    def __init__(self, client: Client, resources: dict[str, float], patience_s: float) -> None:
        self._client = client
        self._resources = resources
        self._patience_s = patience_s
        self._needs: Needs | None = None
        self._say: Callable[[str], None] = print
        self._examined: dict[str, bool] = {}

    def require(self, needs: Needs, say: Callable[[str], None]) -> tuple[Arithmetic, ...]:
        """Examine all workers that get tasks, and from now on those that come; return what all can compute in.

        Raises
        ------
        ClusterError
            If one of them is not fit; it names the worker and what it lacks.
        """
        workers = self._client.scheduler_info(n_workers=-1)["workers"]
        able = [address for address, each in workers.items() if self._resources.keys() <= each["resources"].keys()]
        if not able:
            raise ClusterError(f"no worker has the resource {' and '.join(self._resources)}: start it with --resources")
        answers = self._client.run(abilities, needs.model, workers=able, on_error="return")
        found = {address: each for address, each in sorted(answers.items()) if isinstance(each, Abilities)}
        offers = {address: each.arithmetics for address, each in found.items() if each.arithmetics}
        common = agreed(offers)
        # A machine that jobs are started from often has a torch for the CPU: what counts is that workers have the same.
        torches = [each.torch for each in found.values()]
        needs = replace(needs, versions=tuple(dict(needs.versions, torch=torches[0]).items())) if torches else needs
        self._needs, self._say = replace(needs, arithmetic=common[0] if common else None), say
        unfit = self._lacks(able)
        if unfit:
            raise told(unfit, len(able))
        self._examined = dict.fromkeys(able, True)
        if slower := slowed(offers):
            say(f"warning: {slower}")
        return common

    def guarded(self, task: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """Return ``task`` so that only workers do it that were examined, if any need to be."""
        return IfFit(task, self._needs.run) if self._needs else task

    def meet(self, answer: Unexamined) -> None:
        """Examine a worker that came later; send it away if it is not fit, and say so."""
        address = answer.address
        if self._examined.get(address) is False:
            time.sleep(0.1)  # on its way out: what it still answers is given to others
        elif address not in self._examined:
            unfit = self._lacks([address])
            self._examined[address] = not unfit
            for name, lacks in unfit.items():
                self._say(f"warning: worker {name} {'; '.join(lacks)}; the run goes on without it")
                self._client.retire_workers([address], close_workers=True)

    def wait(self, error: Exception) -> None:
        """Wait for the scheduler, and for a worker, to come back.

        Raises
        ------
        ClusterError
            If they do not in time.
        """
        self._say(f"warning: the scheduler went away; waiting {self._patience_s:.0f} s for it to come back")
        deadline = time.monotonic() + self._patience_s
        while not self._back(deadline - time.monotonic()):
            if self._client.status == "closed" or time.monotonic() > deadline:
                raise ClusterError(
                    f"the scheduler went away and did not come back with workers in {self._patience_s:.0f} s; "
                    "what is done is kept: run the same command again to go on"
                ) from error
            time.sleep(0.2)
        self._say("the scheduler is back")

    def _back(self, seconds: float) -> bool:
        """Return whether scheduler and a worker are there, within ``seconds`` if the scheduler is."""
        if self._client.status != "running":
            return False
        try:
            self._client.wait_for_workers(1, timeout=max(seconds, 0.1))
        except OSError:  # too late, or a connection that is lost is not yet known to be
            return False
        return True

    def _lacks(self, addresses: list[str]) -> Lacks:
        answers = self._client.run(examine, self._needs, workers=addresses, on_error="return")
        return {address: _lacking(answer) for address, answer in answers.items() if answer}


def _lacking(answer: tuple[str, ...] | Exception) -> tuple[str, ...]:
    if not isinstance(answer, Exception):
        return answer
    if isinstance(answer, ImportError | AttributeError):  # a pathopipe without what is asked of it, or none
        return (f"has no pathopipe of this version ({answer}): install the same",)
    return (f"does not answer ({type(answer).__name__}: {answer})",)
