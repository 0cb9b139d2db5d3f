"""The training run, from its settings to the model file: ``fit`` is what ``pathopipe train`` calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from pathopipe.errors import ConfigError
from pathopipe.models.device import visible_gpus
from pathopipe.models.network import StarNet
from pathopipe.models.precision import takes_bf16
from pathopipe.models.train.checkpoint import Checkpoint
from pathopipe.models.train.dataset import load_samples
from pathopipe.models.train.log import Log, log_path
from pathopipe.models.train.origin import resolved
from pathopipe.models.train.patches import batches
from pathopipe.models.train.ranks import Ranks, together
from pathopipe.models.train.record import Record
from pathopipe.models.train.sample import Sample
from pathopipe.models.train.spec import TrainSpec
from pathopipe.models.train.state import State, begun, f1_of, take_step
from pathopipe.models.train.teachers import Teachers
from pathopipe.models.train.validate import validate
from pathopipe.models.train.write import write_model

_SHOWN = {"f1": "F1", "pq": "PQ", "aji": "AJI", "class_accuracy": "right class"}
"""Figures of a validation as the model card names them."""
_MEAN_OVER = 20
"""Steps between lines of the log."""


@dataclass(frozen=True)
class Standing:
    """How far a training is."""

    step: int
    """Steps done."""
    steps: int
    """Steps in all, unless it stops early."""
    loss: float | None
    """Mean of the latest steps; None before the first of this sitting."""
    f1: float | None
    """F1 of the latest validation; None before the first, and where there are no held-out images."""
    best_f1: float | None
    """The highest F1 so far."""
    logged: bool = False
    """Whether the log has a new line, as it has now and then."""


Progress = Callable[[Standing], object]
"""Called before the first step, and after every one."""


def fit(spec: TrainSpec, progress: Progress) -> Path:
    """Train the model that ``spec`` describes and return the path of its file.

    An interrupted run goes on from its last checkpoint and sees the patches that it would have seen, so that on one
    device it ends with the same weights. Beside the model ``<out>`` stand ``<out>.losses.jsonl`` (losses and
    validations), ``<out>.run.json`` (settings, digests of the data, versions) and ``<out>.checkpoint``.

    Raises
    ------
    ModelError
        If images are missing or unusable, or a checkpoint beside ``out`` belongs to other settings or images.
    ConfigError
        If the device asked for is not there, or the batch cannot be shared among the processes.
    """
    spec = resolved(spec)
    gpus = len(visible_gpus(spec.device))
    count = spec.processes or max(1, gpus)
    if gpus and count > gpus:
        raise ConfigError(f"processes: {count}, but there are {gpus} GPUs")
    if spec.batch % count:
        raise ConfigError(f"batch: {spec.batch} patches cannot be shared evenly by {count} processes")
    torch.set_num_threads(spec.threads)
    data = load_samples(spec)
    with together(count, bool(gpus), partial(_follow, spec)) as ranks:
        return _train(spec, *data, ranks, progress)


def _follow(spec: TrainSpec, ranks: Ranks) -> None:
    torch.set_num_threads(spec.threads)
    _train(spec, *load_samples(spec), ranks, lambda _: None)


def _train(spec: TrainSpec, samples: list[Sample], held_out: list[Sample], ranks: Ranks, progress: Progress) -> Path:
    torch.manual_seed(spec.seed)
    torch.backends.cudnn.deterministic = True  # of several ways to convolve, one that sums in a fixed order
    bf16 = takes_bf16(spec.bf16, "cuda" if ranks.device.type == "cuda" else "cpu")
    record = Record(spec, samples, held_out)
    checkpoint = Checkpoint(spec, [record.start_sha256, *record.teachers_sha256, *record.digests])
    state = begun(spec, ranks.device)
    teachers = Teachers.of(spec, ranks.device)
    checkpoint.resume(state, ranks.device)
    if ranks.leads:
        spec.out.parent.mkdir(parents=True, exist_ok=True)
        record.write(ranks, bf16, state, finished=False)
        lead = _Lead(spec, held_out, checkpoint, Log(log_path(spec.out), state.step), progress)
        lead.before(state)
    state.net.train()
    for batch in batches(spec, samples, state.step, ranks.rank, ranks.count) if not state.done(spec) else ():
        loss = take_step(state, [part.to(ranks.device) for part in batch], spec, ranks, bf16, teachers)
        if ranks.leads:
            lead.after_step(state, loss)
        if ranks.agreed(state.done(spec)):
            break
    if ranks.leads:
        write_model(spec, _kept(state), state.step, lead.accuracy(state), record.of_model())
        record.write(ranks, bf16, state, finished=True)
    return spec.out


def _kept(state: State) -> StarNet:
    """Return the network with the weights that become the model."""
    state.net.load_state_dict(state.average if state.best is None else state.best)
    return state.net


class _Lead:
    """What one process does beside the steps: it measures, logs, saves, and tells how far things are."""

    def __init__(
        self, spec: TrainSpec, held_out: list[Sample], checkpoint: Checkpoint, log: Log, progress: Progress
    ) -> None:
        self._spec, self._held_out = spec, held_out
        self._checkpoint, self._log, self._progress = checkpoint, log, progress

    def before(self, state: State) -> None:
        """Do what is due before the first step: the weights to begin from are the first that may be the best."""
        self._tell(state)
        if self._spec.start and state.step == 0 and self._judges(0):
            self._judge(state)
            self._tell(state)

    def after_step(self, state: State, loss: float) -> None:
        """Do what is due after a step of this ``loss``."""
        state.recent.append(loss)
        mean = sum(state.recent) / len(state.recent)
        judges = self._judges(state.step)
        if judges:
            self._judge(state)
        done = state.done(self._spec)
        logs = state.step % _MEAN_OVER == 0 or done
        if logs:
            self._log.add(step=state.step, loss=mean)
            state.recent.clear()
        if self._checkpoint.due(state.step) or done:  # last, so that a run that goes on from here repeats nothing
            self._checkpoint.save(state)
        self._tell(state, mean, logs or judges)

    def _judge(self, state: State) -> None:
        scores = validate(state, self._held_out, self._spec)
        state.judged(scores, self._spec.validation.keep == "best")
        self._log.add(**scores)

    def _tell(self, state: State, loss: float | None = None, logged: bool = False) -> None:
        """Say how far things are."""
        scores = f1_of(state.scores), f1_of(state.best_scores)
        self._progress(Standing(state.step, self._spec.iterations, loss, *scores, logged))

    def _judges(self, step: int) -> bool:
        every = self._spec.validation.every
        return bool(every and self._held_out and (step % every == 0 or step == self._spec.iterations))

    def accuracy(self, state: State) -> tuple[str, ...]:
        """Return lines for the model card on the held-out images; none without them."""
        scores = state.best_scores if state.best is not None else state.scores
        if scores is None or scores["f1"] is None:
            return ()
        chosen = "; the step and the threshold may have been chosen on them"
        figures = ", ".join(
            f"{shown} {scores[name]:.3f}" for name, shown in _SHOWN.items() if scores.get(name) is not None
        )
        return (f"{len(self._held_out)} held-out images at step {scores['step']}: {figures}{chosen}",)
