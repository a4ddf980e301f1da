"""Hashes of inputs and of source code, which decide whether a result still holds.

The comparison with an earlier run is in `runner/execution/skip.py`.
"""
