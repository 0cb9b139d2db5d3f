"""The weights of a model file."""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from pathopipe.errors import ModelError
from pathopipe.models.card import ModelFile, read_model_file
from pathopipe.models.grown import can_grow, grown
from pathopipe.models.network import NetSpec, StarNet


def load_net(file: ModelFile) -> StarNet:
    """Return the network of ``file`` with its weights, batch normalisation not folded.

    Raises
    ------
    ModelError
        If the weights are not those of its network.
    """
    try:
        spec = NetSpec(**file.net)
        if spec.classes != len(file.card.classes):
            raise ModelError(
                f"{file.path}: its card names {len(file.card.classes)} classes, its network tells {spec.classes} apart"
            )
        _check_size(file, spec)
        net = StarNet(spec)
        tensors = {name: value.float() for name, value in load_file(file.path).items()}
        missing, unexpected = net.load_state_dict(tensors, strict=False)
    except (ValidationError, SafetensorError, RuntimeError) as error:
        raise ModelError(f"{file.path} holds no weights for its network ({error}); copy the file again") from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ModelError(f"{file.path} lacks weights of its network, such as {(missing or unexpected)[0]}; retrain it")
    return net


def _check_size(file: ModelFile, spec: NetSpec) -> None:
    """Refuse a card that asks for a network for which the file cannot hold the weights, before memory is taken."""
    with torch.device("meta"):
        weights = sum(value.numel() for value in StarNet(spec).state_dict().values())
    if weights > file.path.stat().st_size:
        raise ModelError(
            f"{file.path}: its card asks for {weights:,} weights, more than the file has bytes; copy the file again"
        )


def begun_from(path: Path, spec: NetSpec, classes: tuple[str, ...] = ()) -> StarNet:
    """Return the network of the model file ``path``, to train it further.

    Where the classes are others than the file's, all weights are kept but those of the class head, which begins anew.
    A larger network says what the file's says, and has room to learn; see :mod:`pathopipe.models.grown`.

    Parameters
    ----------
    path : Path
        The model file.
    spec : NetSpec
        The network that is asked for.
    classes : tuple of str
        Names of the classes that are asked for.

    Raises
    ------
    ModelError
        If it is no model file, or its network has no place in one of ``spec``.
    """
    file = read_model_file(path)
    net = load_net(file)
    if not can_grow(net.spec.model_copy(update={"classes": spec.classes}), spec):
        raise ModelError(
            f"{path} has the network {net.spec}, the training asks for {spec}: use the same net, or a larger one with "
            "as many rays"
        )
    size = spec.model_copy(update={"classes": net.spec.classes})
    if net.spec != size:
        net = grown(net, size)
    if keeps_class_head(file, spec, classes):
        return net
    begun = StarNet(spec)
    begun.load_state_dict({name: value for name, value in net.state_dict().items() if not _of_classes(name)}, False)
    return begun


def keeps_class_head(file: ModelFile, spec: NetSpec, classes: tuple[str, ...]) -> bool:
    """Return whether the classes asked for are the file's, or there is but one and so no class head."""
    count = len(file.card.classes)
    return spec.classes == count and (count == 1 or file.card.classes == classes)


def told_of_start(file: ModelFile, spec: NetSpec, classes: tuple[str, ...]) -> str:
    """Return in a sentence what a training that starts from ``file`` keeps of it, and what begins anew."""
    name = f"{file.card.name} {file.card.version}"
    if NetSpec(**file.net).model_copy(update={"classes": spec.classes}) != spec:
        name += ", made larger"
    if keeps_class_head(file, spec, classes):
        return f"Started from {name}: all weights are kept."
    if spec.classes == 1:
        return f"Started from {name}: all weights are kept but its class head, since one class needs none."
    return (
        f"Started from {name} (classes: {', '.join(file.card.classes)}): what finds and outlines nuclei is kept, "
        f"the class head begins anew for {', '.join(classes)}."
    )


def _of_classes(weight: str) -> bool:
    return weight.startswith("classes.")
