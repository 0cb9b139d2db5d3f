"""The command line with small blocks of cells, put together slowly, so that a test can end it in their midst.

``python -m tests.support.slow_blocks MARK SECONDS run …``: the slide's name is added to the file MARK with each block.
"""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from pathlib import Path

from pathopipe import finish
from pathopipe.annotations import write
from pathopipe.cli import main

BLOCK_CELLS = 100


def slow_down(mark: Path, seconds: float) -> None:
    real = finish.cell_files

    @contextmanager
    def slowly(geojson, parquet, info):
        with real(geojson, parquet, info) as add:

            def add_slowly(made):
                add(made)
                with open(mark, "a", encoding="utf-8") as file:
                    file.write(f"{geojson.parent.name}\n")
                time.sleep(seconds)

            yield add_slowly

    finish.cell_files, write.BLOCK_CELLS = slowly, BLOCK_CELLS


if __name__ == "__main__":
    slow_down(Path(sys.argv[1]), float(sys.argv[2]))
    sys.argv[1:3] = []
    main()
