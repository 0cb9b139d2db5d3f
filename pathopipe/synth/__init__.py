"""Drawn slides whose truth is known: any size in flat memory, the tests' oracle and what the demo analyses.

``slide.draw_slide`` writes a pyramidal slide and its truth, ``region.draw_region`` gives a part of one as arrays. How
a slide comes to be: ``layout`` (pieces on the glass) → ``anatomy`` (what tissue is where) → ``nuclei`` (which there
are) → ``block`` (one square of pixels) → ``stain`` (dyes and light) → ``pyramid`` and ``truth`` (the files).
"""
