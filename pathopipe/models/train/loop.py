"""The training run: optimiser, schedule, averaged weights, checkpoints."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from pathopipe.errors import ModelError
from pathopipe.models.net_file import begun_from
from pathopipe.models.network import StarNet, normalised
from pathopipe.models.train.dataset import load_samples
from pathopipe.models.train.losses import star_loss
from pathopipe.models.train.patches import batches
from pathopipe.models.train.spec import TrainSpec
from pathopipe.models.train.write import write_model
from pathopipe.spec import fingerprint

Progress = Callable[[int, int, float], None]
"""Called after a step with the steps done, the steps in all, and the mean loss of the latest ones."""

_WARM_UP = 50
_MEAN_OVER = 20


@dataclass
class _State:
    """All that a run needs to go on from where it was."""

    net: StarNet
    average: dict[str, Tensor]
    optimiser: torch.optim.Optimizer
    step: int = 0


def fit(spec: TrainSpec, progress: Callable[[int, int, float], None]) -> Path:
    """Train the model that ``spec`` describes and return the path of its file.

    An interrupted run goes on from its last checkpoint and sees the patches that it would have seen; the losses are
    appended to ``<out>.losses.jsonl``. Uses CUDA where there is one.

    Raises
    ------
    ModelError
        If images are missing or unusable, or a checkpoint beside ``out`` belongs to other settings.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(spec.threads)
    torch.manual_seed(spec.seed)
    samples, _ = load_samples(spec)
    state = _begin(spec, device)
    spec.out.parent.mkdir(parents=True, exist_ok=True)
    checkpoint = _checkpoint_path(spec)
    if checkpoint.exists():
        _resume(state, checkpoint, spec, device)
    recent: list[float] = []
    state.net.train()
    for batch in batches(spec, samples, state.step) if state.step < spec.iterations else ():
        recent.append(_step(state, [part.to(device) for part in batch], spec))
        state.step += 1
        if state.step % _MEAN_OVER == 0 or state.step == spec.iterations:
            mean = sum(recent) / len(recent)
            _log(spec, state.step, mean)
            progress(state.step, spec.iterations, mean)
            recent.clear()
        if state.step % spec.checkpoint_every == 0 or state.step == spec.iterations:
            _save(state, checkpoint, spec)
    state.net.load_state_dict(state.average)
    return write_model(spec, state.net, state.step)


def _begin(spec: TrainSpec, device: torch.device) -> _State:
    net = begun_from(spec.start, spec.net) if spec.start else StarNet(spec.net)
    net = net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    decay = [weight for weight in net.parameters() if weight.ndim > 1]
    plain = [weight for weight in net.parameters() if weight.ndim <= 1]
    groups = [{"params": decay, "weight_decay": 1e-2}, {"params": plain, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=spec.learning_rate)
    return _State(net, {name: value.detach().clone() for name, value in net.state_dict().items()}, optimiser)


def _step(state: _State, batch: list[Tensor], spec: TrainSpec) -> float:
    """Take one step on ``batch`` and return its loss."""
    image, maps, distances, weight = batch
    warm = min(1.0, (state.step + 1) / _WARM_UP)
    rate = spec.learning_rate * warm * (0.5 + 0.5 * math.cos(math.pi * state.step / spec.iterations)) + 1e-6
    for group in state.optimiser.param_groups:
        group["lr"] = rate
    with torch.autocast("cuda", torch.bfloat16, enabled=image.is_cuda):
        out = state.net(normalised(image).contiguous(memory_format=torch.channels_last))
    loss = star_loss(out.float(), maps, distances, weight)
    state.optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(state.net.parameters(), 5.0)
    state.optimiser.step()
    _average(state)
    return float(loss.detach())


def _average(state: _State) -> None:
    """Move the averaged weights towards the current ones; faster at first, when the average knows nothing."""
    keep = min(0.997, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        for name, value in state.net.state_dict().items():
            if value.is_floating_point():
                state.average[name].lerp_(value, 1 - keep)
            else:
                state.average[name].copy_(value)


def _checkpoint_path(spec: TrainSpec) -> Path:
    return spec.out.with_name(f"{spec.out.name}.checkpoint")


def _identity(spec: TrainSpec) -> str:
    """Return what must agree for a checkpoint to be continued: all but paths, threads and the card's words."""
    free = {"out", "workers", "threads", "accuracy", "limits", "checkpoint_every"}
    return fingerprint(spec.model_dump(mode="json", exclude=free))


def _save(state: _State, path: Path, spec: TrainSpec) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    values = {
        "identity": _identity(spec),
        "step": state.step,
        "net": state.net.state_dict(),
        "average": state.average,
        "optimiser": state.optimiser.state_dict(),
    }
    torch.save(values, part)
    os.replace(part, path)


def _resume(state: _State, path: Path, spec: TrainSpec, device: torch.device) -> None:
    values = torch.load(path, map_location=device, weights_only=True)
    if values["identity"] != _identity(spec):
        raise ModelError(f"{path} belongs to a run with other settings: remove it to start anew, or choose another out")
    state.net.load_state_dict(values["net"])
    state.average = values["average"]
    state.optimiser.load_state_dict(values["optimiser"])
    state.step = int(values["step"])


def _log(spec: TrainSpec, step: int, loss: float) -> None:
    with open(spec.out.with_name(f"{spec.out.name}.losses.jsonl"), "a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step, "loss": round(loss, 5)}) + "\n")
