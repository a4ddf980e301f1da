"""The steps of a pipeline, one module each: read the inputs, call the numerics, write the outputs.

Code that several stages share is in the folders beside them; mathematics is in `segmentation/`.
"""

if __name__ == "stages":  # found beside `floodrunner`: a second copy of each module would be loaded
    raise ImportError("import floodrunner.stages in place of stages")
