"""Reads a pipeline, plans it, runs it."""

__version__ = "0.1.0"
