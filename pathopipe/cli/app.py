"""The application: its commands, its exit codes, and how errors are told."""

from __future__ import annotations

import logging
import os
import sys
from typing import Annotated, Never

import typer

from pathopipe import __version__
from pathopipe.cli import demo, doctor, evaluate, models, names, results, run, slides, train
from pathopipe.errors import ConfigError, PathopipeError

EXIT_INCOMPLETE = 1
"""At least one slide failed or is incomplete."""
EXIT_USAGE = 2
"""Usage or configuration."""

app = typer.Typer(
    name="pathopipe",
    help="Whole-slide pathology: from slides to cells, QuPath annotations and scores.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `pathopipe demo`, then `pathopipe run slides/ --out results/`.",
)

for room in (run, demo, slides, models, evaluate, train, results, names, doctor):
    room.register(app)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"pathopipe {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    _: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s", level=logging.WARNING)


def main() -> Never:
    """Run the command line; the exit code tells how it went (docs: 0 done, 1 a slide failed, 2 usage)."""
    try:
        app()
    except ConfigError as error:
        _end(f"error: {error}", EXIT_USAGE)
    except PathopipeError as error:
        _end(f"error: {error}", EXIT_INCOMPLETE)
    except BrokenPipeError:  # the reader of stdout, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(0)


def _end(text: str, code: int) -> Never:
    print(text, file=sys.stderr)
    sys.exit(code)
