"""Layers of outlines: GeoJSON as QuPath reads it, GeoParquet, validation."""
