"""Fit a model from images and labels: ``pathopipe train``. Nothing on the path of a run imports this.

>>> from pathopipe.models.train.loop import fit
>>> from pathopipe.models.train.spec import TrainSpec
"""

from pathopipe.models.train.loop import fit
from pathopipe.models.train.spec import ImageSet, TrainSpec

__all__ = ["ImageSet", "TrainSpec", "fit"]
