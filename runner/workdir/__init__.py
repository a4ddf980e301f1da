"""What is kept: the files of a run folder, and how they are written, locked and read.

Nothing here decides whether a step runs.
"""
