"""Reads a pipeline, plans it and runs it, on any engine.

The runner knows only the headers of stages, and imports no numerical library: numerical code belongs in `stages/` and
`segmentation/`.
"""

__version__ = "0.1.0"
