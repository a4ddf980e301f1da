"""What a run says, on a terminal or into a file.

Commands and their options are in `runner/cli.py`.
"""
