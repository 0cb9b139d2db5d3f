"""``pathopipe doctor``: checks whether this machine has what a run needs."""

from __future__ import annotations

import typer


def register(app: typer.Typer) -> None:
    """Add this module's commands."""
    app.command("doctor")(doctor)


def doctor() -> None:
    """Check this machine: libraries, model, GPU, memory, disk, and one real tile through the model.

    **Example**

    `pathopipe doctor`
    """
    from pathopipe.doctor import checkup

    wrong = 0
    for finding in checkup():
        print(f"{'ok   ' if finding.ok else 'WRONG'} {finding.what}: {finding.found}")
        if not finding.ok:
            print(f"      {finding.cure}")
            wrong += 1
    if wrong:
        raise typer.Exit(1)
