"""Pixels on disk: what a slide is, and one file a reader."""
