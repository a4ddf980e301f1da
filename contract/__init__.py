"""What runner and stages agree on: ports, parameters, the job file, events, exit codes.

It imports nothing of ours and no numerics. What only one of the two sides needs does not belong here.
"""
