"""What a training is at one moment, and what one step makes of it."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from pathopipe.models.net_file import begun_from
from pathopipe.models.network import StarNet, normalised
from pathopipe.models.train.losses import star_loss
from pathopipe.models.train.ranks import Ranks
from pathopipe.models.train.spec import TrainSpec
from pathopipe.models.train.teachers import Teachers, teaching_loss

_LEAST_RATE = 1e-6
_STEEPEST = 5.0
"""Longer gradients are shortened to this norm."""

Weights = dict[str, Tensor]
Scores = dict[str, float | None]
"""The step of a validation, its f1, pq and aji, and with several classes class_accuracy; None where there is none."""


@dataclass
class State:
    """All that a run needs to go on from where it was."""

    net: StarNet
    average: Weights
    """The exponential moving average of the weights: what becomes the model."""
    optimiser: torch.optim.Optimizer
    step: int = 0
    recent: list[float] = field(default_factory=list)
    """Losses that are not in the log yet."""
    scores: Scores | None = None
    """Of the latest validation."""
    best_scores: Scores | None = None
    """Of the validation with the highest F1."""
    best: Weights | None = None
    """The averaged weights of that validation, where they are to be kept."""
    waited: int = 0
    """Validations since then."""

    def judged(self, scores: Scores, keep: bool) -> None:
        """Take note of a validation, and with ``keep`` of the averaged weights if it is the best so far."""
        self.scores = scores
        f1, highest = scores["f1"], f1_of(self.best_scores)
        if f1 is None or (highest is not None and f1 <= highest):
            self.waited += 1
            return
        self.best_scores, self.waited = scores, 0
        if keep:
            self.best = {name: value.clone() for name, value in self.average.items()}

    def done(self, spec: TrainSpec) -> bool:
        """Return whether there is no step left, or no hope."""
        patience = spec.validation.patience
        return self.step >= spec.iterations or (patience is not None and self.waited >= patience)


def f1_of(scores: Scores | None) -> float | None:
    """Return the F1 of a validation; None where there was none, or it has none."""
    return None if scores is None else scores["f1"]


def begun(spec: TrainSpec, device: torch.device) -> State:
    """Return the state before the first step."""
    net = begun_from(spec.start, spec.net, spec.class_names) if spec.start else StarNet(spec.net)
    net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    decay = [weight for weight in net.parameters() if weight.ndim > 1]
    plain = [weight for weight in net.parameters() if weight.ndim <= 1]
    groups = [{"params": decay, "weight_decay": spec.weight_decay}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=spec.learning_rate)
    return State(net, {name: value.detach().clone() for name, value in net.state_dict().items()}, optimiser)


def rate_at(step: int, spec: TrainSpec) -> float:
    """Return the learning rate of the step that follows ``step`` others."""
    warm = min(1.0, (step + 1) / spec.warm_up) if spec.warm_up else 1.0
    falling = 0.5 + 0.5 * math.cos(math.pi * step / spec.iterations) if spec.schedule == "cosine" else 1.0
    return spec.learning_rate * warm * falling + _LEAST_RATE


def take_step(
    state: State, batch: list[Tensor], spec: TrainSpec, ranks: Ranks, bf16: bool, teachers: Teachers | None = None
) -> float:
    """Take one step on this process's part of a batch, with the others', and return the mean loss."""
    image, *truth = batch
    for group in state.optimiser.param_groups:
        group["lr"] = rate_at(state.step, spec)
    with torch.autocast(image.device.type, torch.bfloat16, enabled=bf16):
        out = state.net(normalised(image).contiguous(memory_format=torch.channels_last))
    loss = star_loss(out.float(), *truth, spec=spec.loss)
    if teachers and teachers.nets:
        said = teachers.surfaces(image, state.step)
        loss = loss + spec.teaching.weight * teaching_loss(out.float(), said, spec.loss)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    loss = loss.detach()
    ranks.average([loss, *_gradients(state.net), *_running(state.net)])
    nn.utils.clip_grad_norm_(state.net.parameters(), _STEEPEST)
    state.optimiser.step()
    _move_average(state, spec.ema_decay)
    state.step += 1
    return float(loss)


def _gradients(net: StarNet) -> list[Tensor]:
    for parameter in net.parameters():
        if parameter.grad is None:  # a head that nothing in this batch speaks to
            parameter.grad = torch.zeros_like(parameter)
    return [parameter.grad for parameter in net.parameters() if parameter.grad is not None]


def _running(net: StarNet) -> list[Tensor]:
    """Return the running means and variances of the batch normalisation."""
    return [buffer for buffer in net.buffers() if buffer.is_floating_point()]


def _move_average(state: State, decay: float) -> None:
    """Move the averaged weights towards the current ones; faster at first, when the average knows nothing."""
    keep = min(decay, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for name, value in state.net.state_dict().items():
            if value.is_floating_point():
                state.average[name].lerp_(value, 1 - keep)
            else:
                state.average[name].copy_(value)
