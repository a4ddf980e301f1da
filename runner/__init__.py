"""Reads a pipeline, plans it and runs it, on any engine.

It knows stages by their headers only, and loads no numerics: these belong in `stages/` and `segmentation/`.
"""

__version__ = "0.1.0"
