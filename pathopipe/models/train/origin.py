"""What a training goes on from: the model that its settings name, and the settings that come with it."""

from __future__ import annotations

from typing import Any

from pathopipe.models.base import ModelSpec
from pathopipe.models.load import model_file
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
    }
    found = {name: value for name, value in own.items() if name not in spec.model_fields_set}
    if not spec.net.model_fields_set - {"classes"}:
        found["net"] = NetSpec(**file.net).model_copy(update={"classes": spec.net.classes})
    return spec.model_copy(update={"start": file.path, **found})
