"""Reads and writes what stages hand each other: volumes, labels, picture sets, tables, models.

What users bring is in `stages/readers/`.
"""
