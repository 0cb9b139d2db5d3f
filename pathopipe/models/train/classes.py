"""From the classes that data name to the numbers that are trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from pathopipe.errors import ModelError

UNKNOWN = 0
"""Mark of a pixel whose nucleus has no known class, or that lies outside nuclei. Class k is marked k + 1."""
NOT_ANNOTATED = 255
"""Mark of a pixel of which nothing is known, not even whether a nucleus is there."""
Marks = NDArray[np.uint8]


def tells_classes(marks: Marks) -> bool:
    """Return whether the class of any nucleus in ``marks`` is known."""
    return bool(((marks != UNKNOWN) & (marks != NOT_ANNOTATED)).any())


class ClassTable:
    """What the classes of one set of images mean to the model.

    Parameters
    ----------
    classes : sequence of str
        The model's classes.
    class_map : mapping
        Class in the data to the model's class, None for an unknown one; a class of the model needs no entry.
    where : str
        The file that the classes come from, for errors.

    Raises
    ------
    ModelError
        If ``class_map`` names a class that the model does not have.
    """

    def __init__(self, classes: tuple[str, ...], class_map: Mapping[str, str | None], where: str) -> None:
        self._where, self._classes = where, classes
        self._number = {"": UNKNOWN} | {name: number for number, name in enumerate(classes, 1)}
        for name, meant in class_map.items():
            if meant is not None and meant not in classes:
                raise ModelError(
                    f"class_map of {where}: the model has no class {meant!r}; its classes are {_listed(classes)}"
                )
            self._number[name] = UNKNOWN if meant is None else classes.index(meant) + 1

    def marks(self, names: Iterable[str]) -> NDArray[np.uint8]:
        """Return (n,) the mark of nuclei of the classes ``names``.

        Raises
        ------
        ModelError
            If a class is neither the model's nor in the map; all such are named.
        """
        names = list(names)
        if len(self._classes) == 1:  # every nucleus is of that class, whatever the data call it
            return np.full(len(names), UNKNOWN, np.uint8)
        strange = sorted(set(names) - self._number.keys())
        if strange:
            raise ModelError(
                f"{self._where} has nuclei of the classes {_listed(strange)}; the model's are "
                f"{_listed(self._classes)}: say in class_map what they are, such as "
                f"class_map: {{{strange[0]}: {self._classes[0]}}}, or null for a nucleus of unknown class"
            )
        return np.array([self._number[name] for name in names], np.uint8)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(repr(name) for name in names)
