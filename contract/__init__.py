"""What the runner and the stages agree on: ports, parameters, the job file, events and exit codes.

This package imports no other package of the project and no numerical library. Of the project's packages, the headers
of stages import only this one.
"""

if __name__ == "contract":  # found beside `floodrunner`: a second copy of each module would be loaded
    raise ImportError("import floodrunner.contract in place of contract")
