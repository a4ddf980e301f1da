"""What is asked: a pipeline file is read, checked against the stages' headers, and planned.

Nothing here starts or writes anything.
"""
