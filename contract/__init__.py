"""What runner and stages agree on: ports, parameters, the job, events, exit codes.

Imports nothing of ours, and no numerics.
"""
