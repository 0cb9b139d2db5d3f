"""From a trained network to the model file."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save

from pathopipe.files import atomic_file
from pathopipe.models.base import ModelCard, ModelSpec
from pathopipe.models.card import DecodeSpec, metadata_of, read_model_file
from pathopipe.models.load import model_file
from pathopipe.models.network import STRIDE, StarNet, reach_px
from pathopipe.models.train.spec import TrainSpec


def write_model(
    spec: TrainSpec,
    net: StarNet,
    steps: int,
    accuracy: tuple[str, ...] = (),
    training: dict[str, Any] | None = None,
) -> Path:
    """Write ``net`` with its card to ``spec.out`` (atomically) and return that path.

    Parameters
    ----------
    spec : TrainSpec
    net : StarNet
    steps : int
        Steps that it was trained for.
    accuracy : tuple of str
        Lines for the card besides those of ``spec``.
    training : dict, optional
        JSON-able; what it was trained from, kept in the file's metadata.
    """
    tensors = {
        name: value.detach().to("cpu", torch.float32).contiguous()
        for name, value in sorted(net.state_dict().items())
        if value.is_floating_point()
    }
    decode = DecodeSpec(threshold=spec.threshold, foreground=spec.foreground)
    content = save(
        tensors, metadata_of(_card(spec, steps, accuracy), spec.net.model_dump(mode="json"), decode, training)
    )
    with atomic_file(spec.out) as file:
        file.write(content)
    return spec.out


def _data(spec: TrainSpec, steps: int) -> tuple[str, ...]:
    """Return what the weights were made from, a line each.

    What the models were trained on that it was begun from or taught by is in it too; what is the same is told once.
    """
    lines = [f"{images.shown} ({images.licence})" for images in spec.sets]
    if spec.drawn or not spec.sets:
        lines.append(f"images drawn by pathopipe, {spec.drawn if spec.sets else 1:.0%} of {steps * spec.batch} patches")
    cards = [("begun from", read_model_file(spec.start).card)] if spec.start else []
    cards += [("taught by", model_file(ModelSpec(name=name)).card) for name in spec.teaching.models]
    for how, card in cards:
        new = [line for line in card.data if not any(line.endswith(told) or told.endswith(line) for told in lines)]
        lines += [f"{how} {card.name} {card.version}: {line}" for line in new]
    return tuple(lines)


def _card(spec: TrainSpec, steps: int, accuracy: tuple[str, ...]) -> dict[str, Any]:
    reach = reach_px(spec.net)
    card: dict[str, Any] = {
        "name": spec.name,
        "version": spec.version,
        "mpp": spec.mpp,
        "classes": spec.class_names,
        "halo_px": reach + -reach % STRIDE,
        "stride_px": STRIDE,
        "max_diameter_um": spec.max_diameter_um,
        "licence": spec.licence,
        "data": _data(spec, steps),
        "accuracy": (*spec.accuracy, *accuracy),
        "limits": spec.limits,
    }
    assert {*card, "sha256"} == {field.name for field in fields(ModelCard)}
    return card
