"""The agreement between runner and stages: ports, parameters, the job file, events, exit codes.

Imports nothing else of this project, and no numerical library. Importing it loads nothing: the command line takes its
exit codes from here, and `--help` has to answer at once.
"""
