"""What the runner and the stages agree on: ports, parameters, the job file, events and exit codes.

This package imports no other package of the project and no numerical library. Of the project's packages, the headers
of stages import only this one.
"""
