"""Tiles over workers; the only room that imports distributed."""
