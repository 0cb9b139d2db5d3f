"""The file from which an interrupted training goes on as if it had not been interrupted."""

from __future__ import annotations

import pickle
import time
from collections.abc import Sequence
from typing import Any

import torch

from pathopipe.errors import ModelError
from pathopipe.files import atomic_file
from pathopipe.models.train.spec import TrainSpec
from pathopipe.models.train.state import State
from pathopipe.spec import fingerprint

_FREE: Any = {
    "out": True,
    "workers": True,
    "threads": True,
    "device": True,
    "processes": True,
    "bf16": True,
    "accuracy": True,
    "limits": True,
    "checkpoint_every": True,
    "checkpoint_minutes": True,
    "start": True,
    "teaching": {"models"},
    "sets": {"__all__": {"folder", "slide", "annotations", "unlabelled", "teacher"}},
}
"""May differ between the sittings of one run: where things lie and what carries them out, and the card's words."""


class Checkpoint:
    """``<out>.checkpoint``: the state after a step, with what must agree for it to be continued."""

    def __init__(self, spec: TrainSpec, data: Sequence[str | None]) -> None:
        """Take the settings, and the digest of every image set and of what it begins from."""
        self.path = spec.out.with_name(f"{spec.out.name}.checkpoint")
        self._identity = fingerprint({"spec": spec.model_dump(mode="json", exclude=_FREE), "data": data})
        self._every, self._seconds = spec.checkpoint_every, spec.checkpoint_minutes * 60
        self._saved_at = time.monotonic()

    def due(self, step: int) -> bool:
        """Return whether it is time to save the state after ``step``."""
        return step % self._every == 0 or time.monotonic() - self._saved_at >= self._seconds

    def save(self, state: State) -> None:
        """Write the state, atomically."""
        values = {
            "identity": self._identity,
            "net": state.net.state_dict(),
            "optimiser": state.optimiser.state_dict(),
            **{name: getattr(state, name) for name in _PLAIN},
        }
        with atomic_file(self.path) as file:
            torch.save(values, file)
        self._saved_at = time.monotonic()

    def resume(self, state: State, device: torch.device) -> None:
        """Bring ``state`` to where the checkpoint is; nothing where there is none.

        Raises
        ------
        ModelError
            If it belongs to other settings or images, or cannot be read.
        """
        if not self.path.exists():
            return
        try:
            values = torch.load(self.path, map_location=device, weights_only=True)
            identity = values["identity"]
        except (RuntimeError, OSError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
            raise ModelError(f"cannot read {self.path} ({error}): remove it to start anew") from error
        if identity != self._identity:
            raise ModelError(
                f"{self.path} belongs to a run with other settings or images: "
                "remove it to start anew, or choose another out"
            )
        state.net.load_state_dict(values["net"])
        state.optimiser.load_state_dict(values["optimiser"])
        for name in _PLAIN:
            setattr(state, name, values[name])


_PLAIN = ("average", "step", "recent", "scores", "best_scores", "best", "waited")
