"""What decides whether a result still holds: hashes of inputs and of source code.

The comparison is in `execution/skip.py`.
"""
