"""Tiles in zarr, and the instances found in them."""
