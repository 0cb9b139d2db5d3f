"""pathopipe: from whole-slide images to cells, annotations and scores.

Importing the package is cheap: neither torch nor dask.distributed is loaded until a run needs them.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
