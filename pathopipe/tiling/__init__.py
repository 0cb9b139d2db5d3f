"""Which tiles: the tissue mask and the tile grid."""
