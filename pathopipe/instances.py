"""Instances: the segmented cells of a tile or a slide as arrays, never as one object a cell."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathopipe.errors import StoreError
from pathopipe.files import atomic_file
from pathopipe.geometry import Outlines

FORMAT = 3
"""Version of the file format of :meth:`Instances.save`."""

_DAMAGE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    EOFError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What zipfile and numpy raise where bits of an archive changed, found by changing each."""


@dataclass(frozen=True)
class Instances:
    """n segmented objects in one frame, in a fixed order."""

    outlines: Outlines
    """n outlines; outside a model they are in level-0 pixels."""
    score: NDArray[np.float32]
    """(n,) the model's confidence, 0 to 1."""
    class_id: NDArray[np.uint8]
    """(n,) index into ``classes``."""
    classes: tuple[str, ...]
    """Class names, such as ("Nucleus",)."""
    measurements: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """Name (snake_case with its unit) to (n,) values measured on the pixels; NaN where it could not be computed."""

    def __post_init__(self) -> None:
        columns: dict[str, NDArray[Any]] = {"score": self.score, "class_id": self.class_id, **self.measurements}
        for name, values in columns.items():
            if values.shape != (len(self.outlines),):
                raise ValueError(f"{name} has shape {values.shape} for {len(self.outlines)} outlines")

    def __len__(self) -> int:
        return len(self.outlines)

    @classmethod
    def empty(cls, classes: tuple[str, ...], measurements: Iterable[str] = ()) -> Instances:
        """Return no instances, with the columns that others of the same model have."""
        none = np.zeros(0, np.float32)
        return cls(Outlines.empty(), none, np.zeros(0, np.uint8), classes, dict.fromkeys(measurements, none))

    @classmethod
    def concat(cls, parts: Iterable[Instances]) -> Instances:
        """Return the instances of all ``parts`` in order.

        Raises
        ------
        ValueError
            If there are no parts, or their classes or measurements differ.
        """
        parts = list(parts)
        if not parts:
            raise ValueError("no parts to put together; use Instances.empty")
        first = parts[0]
        if not all(part.fits(first) for part in parts):
            raise ValueError("the parts differ in their classes or measurements")
        return cls(
            Outlines.concat(part.outlines for part in parts),
            np.concatenate([part.score for part in parts]),
            np.concatenate([part.class_id for part in parts]),
            first.classes,
            {name: np.concatenate([part.measurements[name] for part in parts]) for name in first.measurements},
        )

    def fits(self, other: Instances) -> bool:
        """Return whether both have the same classes and measurements, and so can be put together."""
        return self.classes == other.classes and set(self.measurements) == set(other.measurements)

    def take(self, index: NDArray[np.integer] | NDArray[np.bool_]) -> Instances:
        """Return the instances chosen by an integer or boolean ``index``, in its order."""
        return Instances(
            self.outlines.take(index),
            self.score[index],
            self.class_id[index],
            self.classes,
            {name: values[index] for name, values in self.measurements.items()},
        )

    def part(self, start: int, end: int) -> Instances:
        """Return instances ``start`` to ``end`` (exclusive), without a copy of their outlines."""
        return Instances(
            self.outlines.part(start, end),
            self.score[start:end],
            self.class_id[start:end],
            self.classes,
            {name: values[start:end] for name, values in self.measurements.items()},
        )

    def with_outlines(self, outlines: Outlines) -> Instances:
        """Return the same instances with other outlines, for a change of frame."""
        return replace(self, outlines=outlines)

    def with_measurements(self, **values: NDArray[np.floating]) -> Instances:
        """Return the instances with further measurements."""
        added = {name: np.asarray(column, np.float32) for name, column in values.items()}
        return replace(self, measurements={**self.measurements, **added})

    def without_measurements(self, *names: str) -> Instances:
        """Return the instances without these measurements, as far as they have them."""
        return replace(
            self, measurements={name: self.measurements[name] for name in self.measurements if name not in names}
        )

    def save(self, path: Path, of: str = "") -> None:
        """Write to ``path`` (.npz), whole or not at all, replacing what was there; ``of`` says what they are of."""
        with atomic_file(path) as file:
            np.savez(
                file,
                format=np.array(FORMAT),
                of=np.array(of, dtype=np.str_),
                coords=self.outlines.coords,
                offsets=self.outlines.offsets,
                score=self.score,
                class_id=self.class_id,
                classes=np.array(self.classes, dtype=np.str_),
                measured=np.array([*self.measurements], dtype=np.str_),  # damage may hide an entry from zipfile
                **{f"m:{name}": values for name, values in self.measurements.items()},  # type: ignore[arg-type]
            )

    @classmethod
    def load(cls, path: Path, of: str = "") -> Instances:
        """Read what :meth:`save` wrote; ``of`` has to be what was said then.

        Raises
        ------
        StoreError
            If the file is missing, damaged, of another format version, or of something else.
        """
        try:
            with open(path, "rb") as file, zipfile.ZipFile(file) as archive:
                # Each entry to its end, which np.load does not do: only there its checksum is compared.
                data = {name.removesuffix(".npy"): _array(archive.read(name)) for name in archive.namelist()}
                if int(data["format"]) != FORMAT:
                    raise StoreError(f"{path} has format {int(data['format'])}, this version reads {FORMAT}; remove it")
                if str(data["of"]) != of:
                    raise StoreError(f"{path} is of {data['of']} and not of {of}; remove it and run again")
                return cls(
                    Outlines(data["coords"], data["offsets"]),
                    data["score"],
                    data["class_id"],
                    tuple(str(name) for name in data["classes"]),
                    {str(name): data[f"m:{name}"] for name in data["measured"]},
                )
        except _DAMAGE as error:
            if isinstance(error, StoreError):
                raise
            raise StoreError(f"{path} is not a whole instance file ({error}); remove it and run again") from error


def _array(text: bytes) -> NDArray[Any]:
    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(text), allow_pickle=False)
    return array
