"""The instances found in each tile, one file a tile: what a run that was interrupted goes on from."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Self

from pathopipe.errors import StoreError
from pathopipe.files import read_json, unwritable, write_json
from pathopipe.instances import Instances
from pathopipe.tiling.grid import Tile

_FINGERPRINT = "fingerprint.json"


class InstanceStore:
    """A folder of ``<tile.name>.npz`` files that all answer one question, which ``fingerprint.json`` names.

    A file is whole or absent and says which box it answers for, so its existence says that the tile is done. Any number
    of processes may write; two that write the same tile write the same bytes.

    Parameters
    ----------
    folder : Path
        Made if it is not there.
    fingerprint : str
        Digest of all that the instances depend on: slide, model and settings.

    Raises
    ------
    StoreError
        If the folder holds the instances of another fingerprint; :meth:`open` discards them.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self.folder = folder
        """Where the files are."""
        self.fingerprint = fingerprint
        """Of everything that the instances depend on."""
        self.discarded = 0
        """How many results of another question :meth:`open` removed."""
        folder.mkdir(parents=True, exist_ok=True)
        held = _fingerprint(folder)
        if held is None and not any(folder.glob("*.npz")):
            write_json(folder / _FINGERPRINT, {"fingerprint": fingerprint})
        elif held != fingerprint:
            raise StoreError(
                f"{folder} holds the results of another slide, model or setting ({held}, not {fingerprint}); "
                "remove it or choose another output folder"
            )

    @classmethod
    def open(cls, folder: Path, fingerprint: str) -> Self:
        """Open the folder for a new run, without the other workers: clear what does not hold any more.

        Results of another fingerprint are removed (``discarded`` counts them), and so is what killed processes left.
        """
        dropped = 0
        if _fingerprint(folder) != fingerprint and folder.is_dir():
            dropped = len(list(folder.glob("*.npz")))
            cls.remove(folder)
        store = cls(folder, fingerprint)
        store.discarded = dropped
        store.clear_temporary()
        return store

    def put(self, tile: Tile, instances: Instances) -> None:
        """Store the instances of ``tile``, whole or not at all.

        Raises
        ------
        StoreError
            If they cannot be written.
        """
        try:
            instances.save(self._path(tile), self._of(tile))
        except StoreError:
            raise
        except OSError as error:
            raise unwritable(self._path(tile), error) from error

    def get(self, tile: Tile) -> Instances:
        """Return the instances of ``tile``.

        Raises
        ------
        StoreError
            If there are none, or their file is damaged; it is removed then, so that the next run redoes that tile.
        """
        path = self._path(tile)
        if not path.exists():
            raise StoreError(f"there are no results of tile {tile.name} in {self.folder}; run again")
        try:
            return Instances.load(path, self._of(tile))
        except StoreError:
            path.unlink(missing_ok=True)
            raise

    def has(self, tile: Tile) -> bool:
        """Return whether ``tile`` is done."""
        try:
            return self._path(tile).stat().st_size > 0
        except FileNotFoundError:
            return False

    def missing(self, tiles: Iterable[Tile]) -> tuple[Tile, ...]:
        """Return those of ``tiles`` that are not done, in their order.

        What is there was written by a run that ended who knows how, on a disk that others write to: each file is read,
        and one that is damaged, or answers for another box, is removed and its tile missing.
        """
        names = {path.name for path in self.folder.iterdir()}
        return tuple(tile for tile in tiles if self._path(tile).name not in names or not self._whole(tile))

    def _whole(self, tile: Tile) -> bool:
        try:
            self.get(tile)
        except StoreError:
            return False
        return True

    def clear_temporary(self) -> int:
        """Remove the unfinished files of processes that were killed; return how many. No worker may be writing."""
        parts = sorted(self.folder.glob("*.tmp"))
        for part in parts:
            part.unlink(missing_ok=True)
        return len(parts)

    @staticmethod
    def held(folder: Path) -> str | None:
        """Return the fingerprint that the results in ``folder`` are of; None where there are none."""
        return _fingerprint(folder)

    @staticmethod
    def remove(folder: Path) -> None:
        """Remove all results in ``folder``, the fingerprint last: after an interruption the rest goes the next time."""
        for path in sorted(folder.glob("*.npz")):
            path.unlink(missing_ok=True)
        (folder / _FINGERPRINT).unlink(missing_ok=True)

    def _of(self, tile: Tile) -> str:
        """Return what a file is of. The core depends on the tissue, which the fingerprint does not tell of."""
        return f"{self.fingerprint} {tile.name} {tuple(tile.core)}"

    def _path(self, tile: Tile) -> Path:
        return self.folder / f"{tile.name}.npz"


def _fingerprint(folder: Path) -> str | None:
    """Return the fingerprint that the folder was made for, or None where it has none."""
    found = (read_json(folder / _FINGERPRINT) or {}).get("fingerprint")
    return found if isinstance(found, str) else None
