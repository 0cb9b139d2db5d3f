"""``python -m pathopipe`` is ``pathopipe``."""

from pathopipe.cli import main

if __name__ == "__main__":
    main()
