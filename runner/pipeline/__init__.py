"""Reads a pipeline file, checks it against the stages, and plans a run.

Nothing here starts a step or writes a file.
"""
