"""What the user asks for: reads a pipeline file, checks it against the stages' headers, and plans it.

Nothing here starts or writes anything.
"""
