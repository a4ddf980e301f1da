"""Writes, locks and reads the files of a run folder.

Nothing here decides whether a step runs.
"""
