"""Numbers per slide."""
