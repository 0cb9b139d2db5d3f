"""What a training goes on from: the model that its settings name, and the settings that come with it."""

from __future__ import annotations

from typing import Any

from pathopipe.models.base import ModelSpec
from pathopipe.models.load import model_file
from pathopipe.models.net_file import told_of_start
from pathopipe.models.network import NetSpec
from pathopipe.models.train.spec import TrainSpec


def resolved(spec: TrainSpec) -> TrainSpec:
    """Return ``spec`` with ``start`` as a path, and what it leaves open taken from that model.

    Raises
    ------
    ModelError
        If the file is missing, damaged, or no pathopipe model.
    ConfigError
        If no model of that name is registered.
    """
    if spec.start is None:
        return spec
    file = model_file(ModelSpec(name=str(spec.start)))
    own: dict[str, Any] = {
        "mpp": file.card.mpp,
        "max_diameter_um": file.card.max_diameter_um,
        "threshold": file.decode.threshold,
        "foreground": file.decode.foreground,
    }
    found = {name: value for name, value in own.items() if name not in spec.model_fields_set}
    if not spec.net.model_fields_set - {"classes"}:
        found["net"] = NetSpec(**file.net).model_copy(update={"classes": spec.net.classes})
    return spec.model_copy(update={"start": file.path, **found})


def what_is_kept(spec: TrainSpec) -> str:
    """Return in a sentence what a training keeps of the model that it starts from, and what begins anew.

    Raises
    ------
    ModelError, ConfigError
        As :func:`resolved`.
    """
    file = model_file(ModelSpec(name=str(spec.start)))
    return told_of_start(file, resolved(spec).net, spec.class_names)
