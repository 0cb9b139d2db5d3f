"""Drawn slides whose truth is known."""
