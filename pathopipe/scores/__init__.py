"""Numbers per slide, each with its unit, what it was computed from, and how sure it is."""
