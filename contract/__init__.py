"""What runner and stages agree on: ports, parameters, the job file, events, exit codes.

It imports nothing of ours and no numerics. The headers of stages import nothing else of ours.
"""
