"""The model file: one .safetensors with a JSON card in its metadata. Needs no torch.

The metadata key ``pathopipe`` holds ``{"format": 1, "card": {...}, "net": {...}, "decode": {...}}``: the card's
fields without ``sha256``, which is that of the whole file, the network's size, and the settings of the
post-processing that belong to the weights; ``pathopipe train`` adds ``"training"``: its settings, the digests of its
images, and versions.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field
from pydantic.dataclasses import dataclass as checked

from pathopipe.errors import ModelError
from pathopipe.models.base import ModelCard
from pathopipe.spec import Spec

FORMAT = 1
"""Version of the model file."""
_KEY = "pathopipe"
_LARGEST_HEADER = 50_000_000
_LARGEST_FILE = 1_000_000_000


class DecodeSpec(Spec):
    """How the network's maps become outlines; part of the model file."""

    threshold: float = Field(0.4, gt=0, lt=1)
    """Probability from which a peak is a nucleus."""
    foreground: float = Field(0.5, gt=0, lt=1)
    """Foreground level along which the outline runs."""
    overlap: float = Field(0.5, gt=0, lt=1)
    """A peak within this part of a stronger one's radius is the same nucleus."""
    min_area_px: float = Field(16.0, ge=0)
    """Smaller outlines are dropped, in square working pixels."""
    prominence: float = Field(0.08, ge=0, lt=1)
    """A peak inside a stronger one's polygon that rises less than this above the pass between them is the same."""
    vertices: int = Field(24, ge=8, le=128)
    """Vertices of an outline."""


@dataclass(frozen=True)
class ModelFile:
    """What the header of a model file says."""

    path: Path
    card: ModelCard
    net: dict[str, Any]
    """The network's size, as ``NetSpec`` takes it."""
    decode: DecodeSpec


def read_model_file(path: Path) -> ModelFile:
    """Return what the header of the model file ``path`` says.

    Raises
    ------
    ModelError
        If it is missing, damaged, or no pathopipe model.
    """
    try:
        if (size := path.stat().st_size) > _LARGEST_FILE:
            raise ModelError(f"{path} has {size:,} bytes, and no model of pathopipe more than {_LARGEST_FILE:,}")
        content = path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"cannot read the model {path} ({error.strerror}); `pathopipe models` lists those there are"
        ) from error
    try:
        values = json.loads(_metadata(content)[_KEY])
        if values["format"] != FORMAT:
            raise ModelError(
                f"{path} has model format {values['format']}, this version reads {FORMAT}; update pathopipe"
            )
        card = _Card(**values["card"], sha256=hashlib.sha256(content).hexdigest())
        return ModelFile(path, ModelCard(**vars(card)), dict(values["net"]), DecodeSpec(**values["decode"]))
    except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
        raise ModelError(
            f"{path} is not a model that pathopipe wrote ({_first_line(error)}); "
            "take a .safetensors file from `pathopipe train`, or copy the file again"
        ) from error


def metadata_of(
    card: dict[str, Any], net: dict[str, Any], decode: DecodeSpec, training: dict[str, Any] | None = None
) -> dict[str, str]:
    """Return the safetensors metadata of a model file; ``card`` has the fields of ModelCard but sha256."""
    values = {"format": FORMAT, "card": card, "net": net, "decode": decode.model_dump(mode="json")}
    if training is not None:
        values["training"] = training
    return {_KEY: json.dumps(values, sort_keys=True, ensure_ascii=False)}


def _metadata(content: bytes) -> dict[str, str]:
    """Return the metadata of a safetensors file: 8 bytes of header length, a JSON header, then the tensors."""
    length = int.from_bytes(content[:8], "little")
    if len(content) < 8 or length > min(_LARGEST_HEADER, len(content) - 8):
        raise TypeError("no safetensors header")
    header = json.loads(content[8 : 8 + length].decode("utf-8"))
    ends = [entry["data_offsets"][1] for name, entry in header.items() if name != "__metadata__"]
    if max(ends, default=0) != len(content) - 8 - length:
        raise TypeError("cut off")
    metadata: dict[str, str] = header["__metadata__"]
    return metadata


def _first_line(error: Exception) -> str:
    return f"missing {error}" if isinstance(error, KeyError) else (str(error).splitlines() or ["damaged"])[0]


@checked(frozen=True)
class _Card(ModelCard):
    """ModelCard with its types checked, for what comes from a file."""
