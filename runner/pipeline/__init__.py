"""What is asked: reads a pipeline file, checks it against the stages, and plans it.

Nothing here starts a step or writes a file.
"""
