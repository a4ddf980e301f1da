"""Shows what a run does, in a terminal or in a file.

Commands and their options are in `runner/commands/`.
"""
