"""Reads what users bring: sections, TIFF, HDF5, pictures, masks, and what file names mean.

What stages hand each other is in `stages/storage/`.
"""
