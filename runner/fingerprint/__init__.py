"""Hashes of inputs and of source code, which decide whether a result is still valid.

The comparison is in `execution/skip.py`.
"""
