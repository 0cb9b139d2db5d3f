"""Pixels on disk: what a slide is, and one file a reader."""

from pathopipe.slide.base import Level, Reader, Scale, Slide, SlideInfo, SlideSpec
from pathopipe.slide.open import open_slide

__all__ = ["Level", "Reader", "Scale", "Slide", "SlideInfo", "SlideSpec", "open_slide"]
