"""Turns requests written for google/ffn into pipelines.

The stage `ffn-import` reads google/ffn's checkpoints.
"""
