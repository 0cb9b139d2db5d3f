"""The command line: what users type, and nothing that a library user would miss.

Modules of this room import the rest of pathopipe inside their commands, so that ``--help`` answers at once.
"""

from pathopipe.cli.app import main

__all__ = ["main"]
