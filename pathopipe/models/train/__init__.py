"""Fit a model from images and labels: ``pathopipe train``. Nothing on the path of a run imports this.

>>> from pathopipe.models.train.loop import fit
>>> from pathopipe.models.train.spec import TrainSpec
"""

from pathopipe.models.train.loop import fit
from pathopipe.models.train.sets import AnnotatedSlide, ImageSet, UnlabelledSet
from pathopipe.models.train.spec import TrainSpec

__all__ = ["AnnotatedSlide", "ImageSet", "TrainSpec", "UnlabelledSet", "fit"]
