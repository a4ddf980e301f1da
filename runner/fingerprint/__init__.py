"""Hashes of inputs and of source code, which decide whether a result is still valid.

The comparison with an earlier run is in `runner/execution/skip.py`.
"""
