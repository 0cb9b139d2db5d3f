"""From a model's name or file to its card and its predictor. Needs torch only for the predictor."""

from __future__ import annotations

from pathlib import Path

from pathopipe.errors import ModelError
from pathopipe.models.base import ModelCard, ModelSpec, Predictor
from pathopipe.models.card import ModelFile, read_model_file
from pathopipe.registry import load

_SUFFIX = ".safetensors"
_CODE = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".bin", ".joblib", ".h5", ".hdf5", ".keras", ".npz", ".tar"}
"""Kinds of weight files that are pickles, or may have pickles inside."""


def load_card(spec: ModelSpec) -> ModelCard:
    """Return the card of the model that ``spec`` names, reading only its file's header and digest.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or no pathopipe model.
    ConfigError
        If no model of that name is registered.
    """
    return model_file(spec).card


def load_predictor(spec: ModelSpec) -> Predictor:
    """Return the model that ``spec`` names, loaded on its device. Imports torch.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or no pathopipe model.
    ConfigError
        If no model of that name is registered, or the device is not there.
    """
    from pathopipe.models.predictor import StarPredictor

    return StarPredictor(model_file(spec), spec)


def model_file(spec: ModelSpec) -> ModelFile:
    """Return the header of the model file: a path if it looks like one, else what the entry point names.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or no pathopipe model.
    ConfigError
        If no model of that name is registered.
    """
    path = Path(spec.name)
    if path.suffix.lower() in _CODE:
        raise ModelError(
            f"{path} is not opened: {path.suffix} files can hold program code, which runs when they are loaded; take a "
            ".safetensors file of `pathopipe train`, or of someone who converts the weights on a machine of their own"
        )
    if path.suffix != _SUFFIX and not path.is_absolute():
        path = Path(load("pathopipe.models", spec.name)())
    return read_model_file(path)
