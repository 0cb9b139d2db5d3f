"""The weights of a model file."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file

from pathopipe.errors import ModelError
from pathopipe.models.card import ModelFile, read_model_file
from pathopipe.models.network import NetSpec, StarNet


def load_net(file: ModelFile) -> StarNet:
    """Return the network of ``file`` with its weights, batch normalisation not folded.

    Raises
    ------
    ModelError
        If the weights are not those of its network.
    """
    try:
        net = StarNet(NetSpec(**file.net))
        tensors = {name: value.float() for name, value in load_file(file.path).items()}
        missing, unexpected = net.load_state_dict(tensors, strict=False)
    except (ValidationError, SafetensorError, RuntimeError) as error:
        raise ModelError(f"{file.path} holds no weights for its network ({error}); copy the file again") from error
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise ModelError(f"{file.path} lacks weights of its network, such as {(missing or unexpected)[0]}; retrain it")
    return net


def begun_from(path: Path, spec: NetSpec) -> StarNet:
    """Return the network of the model file ``path``, to train it further.

    Raises
    ------
    ModelError
        If it is no model file, or its network is not as ``spec`` says.
    """
    net = load_net(read_model_file(path))
    if net.spec != spec:
        raise ModelError(f"{path} has the network {net.spec}, the training asks for {spec}: use the same net")
    return net
