"""Many slides: in which order, in whose folder, shared among runs, and what the table of all of them says.

Begin with ``run.py``.
"""
