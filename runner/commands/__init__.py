"""The commands of the command line: each reads its options, calls what does the work, and prints the answer.

What a command does is in the other folders. A command imports these when it runs, so that `--help` answers at once.
"""
