"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from pathopipe.limits import LimitsSpec

Out = Annotated[Path, typer.Option("--out", "-o", help="Output folder; made if need be, and never emptied.")]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="YAML with settings; see configs/default.yaml.", dir_okay=False)
]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="One setting, such as grid.tile_px=2048; repeatable."),
]
LimitSettings = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="limits.KEY=VALUE", help="Raise a limit on what files may ask for; repeatable."),
]
Mpp = Annotated[
    float | None,
    typer.Option("--mpp", help="µm per pixel at level 0, for slides that do not say their own.", min=0.05, max=20),
]
Cluster = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        metavar="local|serial|tcp://…|FILE.yaml",
        help="Where tiles are worked on: processes here, this process, a Dask scheduler, or a cluster file.",
    ),
]
Workers = Annotated[int | None, typer.Option("--workers", help="Worker processes; default one a core or GPU.", min=1)]
Anonymous = Annotated[
    Path | None,
    typer.Option(
        "--anonymous",
        metavar="KEYFILE",
        help="Call slides by keyed hashes of their names in every output; the key is made if it is not there.",
        dir_okay=False,
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        "--shard",
        metavar="I/N",
        help="Do part I of N only; the parts may run at once, as an array job, and share the output folder.",
    ),
]
Verbose = Annotated[int, typer.Option("--verbose", "-v", count=True, help="Say more; -vv for debugging.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say only what went wrong.")]


def limits_of(settings: list[str] | None) -> LimitsSpec:
    """Return the limits with ``settings`` of the form "limits.key=value".

    Raises
    ------
    ConfigError
        If one is of another form or section, or wrong.
    """
    from pathopipe.config import load_config
    from pathopipe.errors import ConfigError

    for text in settings or ():
        if not text.startswith("limits."):
            raise ConfigError(
                f"--set {text}: this command has the settings of limits alone, such as limits.max_text_bytes"
            )
    return load_config(settings=settings or ()).limits


def verbosity(verbose: int, quiet: bool) -> int:
    """Return -1 for quiet, 0 for normal, 1 and up for verbose, and set the log's level to match."""
    import logging

    level = -1 if quiet else verbose
    levels = {-1: logging.ERROR, 0: logging.WARNING, 1: logging.INFO}
    logging.getLogger("pathopipe").setLevel(levels.get(level, logging.DEBUG))
    return level
