"""Tile to instances; the only room that imports torch."""
