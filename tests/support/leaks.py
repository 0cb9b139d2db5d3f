"""Every byte that an output folder holds, also inside archives, tables and compressed chunks."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pyarrow.parquet as pq
import zarr
from PIL import Image


def places_of(words, out: Path) -> list[str]:
    """Where in ``out`` one of ``words`` stands, in any usual form of writing it."""
    forms = {
        form.encode() for word in words for form in (word, word.lower(), word.upper(), quote(word), ascii(word)[1:-1])
    }
    return [f"{where}: {form.decode()}" for where, data in everything(out) for form in forms if form in data]


def everything(out: Path) -> Iterator[tuple[str, bytes]]:
    """Yield a place and its bytes, packed and unpacked."""
    for path in sorted(out.rglob("*")):
        where = str(path.relative_to(out))
        yield f"name of {where}", where.encode("utf-8", "surrogateescape")
        if path.is_file():
            data = path.read_bytes()
            yield where, data
            yield from ((f"{where} unpacked", inner) for inner in _inside(path, data))
        elif path.suffix == ".zarr":
            for name, array in zarr.open_group(path, mode="r").arrays():
                yield f"{where}/{name}", array[:].tobytes()


def _inside(path: Path, data: bytes) -> Iterator[bytes]:
    if zipfile.is_zipfile(io.BytesIO(data)):
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            for entry in archive.infolist():
                yield entry.filename.encode() + entry.comment + entry.extra
                yield archive.read(entry)
    elif path.suffix == ".parquet":
        file = pq.ParquetFile(io.BytesIO(data))
        yield repr(file.schema_arrow.metadata).encode() + repr(file.metadata).encode()
        yield repr(file.read().to_pydict()).encode()
    elif path.suffix == ".png":
        with Image.open(io.BytesIO(data)) as image:
            yield repr(image.info).encode()
