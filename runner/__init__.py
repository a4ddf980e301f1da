"""Reads a pipeline, plans it and runs it, on any engine.

The runner knows only the headers of stages, and imports no numerical library: numerical code belongs in `stages/` and
`segmentation/`.
"""

from floodrunner.version import __version__ as __version__

if __name__ == "runner":  # found beside `floodrunner`: a second copy of each module would be loaded
    raise ImportError("import floodrunner.runner in place of runner")
